"""Looks into TFRecord files or folders of them, ours or anyone's: features, classes, images, damage.

    python -m pipelines.inspect_shards PATH... --contact_sheet=sheet.png
    python -m pipelines.inspect_shards PATH... --verify

Prints features with types and shapes, and records per class. With --verify it names every broken file and record
(records count from 0), and ends with exit code 1 if there is any.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from absl import logging

from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.pages.contact_sheet import Section, Tile, write_contact_sheet
from pipelines.pages.shard_tables import class_table, feature_table, format_bytes, label_text
from tfrecords_tools import example
from tfrecords_tools.boxes import problem_of_boxes, whole_boxes
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.files import AnyPath, as_path, file_size, is_file, list_files, read_text
from tfrecords_tools.foundation.settings import Settings, require, setting
from tfrecords_tools.foundation.texts import in_one_line
from tfrecords_tools.images import RefusedImage
from tfrecords_tools.inspecting import FeatureStats, Summary, split_of
from tfrecords_tools.manifest import MANIFEST_FILE, SCHEMA_VERSION, Manifest, ShardEntry, read_manifest
from tfrecords_tools.masks import decode_mask, problem_of_mask
from tfrecords_tools.record_images import decode_image, find_image_feature, is_encoded, raw_image
from tfrecords_tools.records import ScannedRecord
from tfrecords_tools.verifying import (
    FileCheck,
    Problem,
    expected_records,
    file_problems,
    missing_numbered_files,
)

# train00-2071.tfrec, x.tfrecords.gz, x.tfrecord-00000-of-00005, x-00000-of-00005; not an index, nor a checkpoint's data
_FILE_NAME = re.compile(r"[^.].*(\.tfrec(ord)?s?(-\d+-of-\d+)?|(?<!\.data)-\d+-of-\d+)(\.gz|\.zlib)?")


@dataclass(frozen=True, kw_only=True)
class InspectShardsConfig(Settings):
    """Settings of inspect_shards."""

    paths: tuple[str, ...] = setting((), "TFRecord files, or folders of them; also given as plain arguments")
    verify: bool = setting(False, "recount and checksum everything; exit code 1 if anything is broken")
    decode_images: bool = setting(False, "with --verify: decode every encoded image too")
    contact_sheet: str = setting("", "PNG file to draw images of every class into")
    images: int = setting(64, "images of the contact sheet")
    image_feature: str = setting("", "feature that holds the image (default: found by its contents)")
    label_feature: str = setting("", "feature that holds the class (default: target, label, class or image_class)")

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.images <= 10_000, "images", self.images, "from 1 to 10,000")
        require(self.verify or not self.decode_images, "decode_images", self.decode_images, "given with --verify")
        local = "://" not in self.contact_sheet
        require(local, "contact_sheet", self.contact_sheet, "a file on this machine")


@dataclass(frozen=True)
class _File:
    """A file to read, and what the manifest beside it says of it, if there is one."""

    path: AnyPath
    size: int
    manifest: Manifest | None
    entry: ShardEntry | None

    @property
    def has_boxes(self) -> bool:
        """True if make_shards wrote the feature `boxes`, which may be anything in the files of others."""
        return self.manifest is not None and self.manifest.boxes is not None

    @property
    def has_masks(self) -> bool:
        """True if the feature `mask` is ours, as for boxes."""
        return self.manifest is not None and self.manifest.masks is not None


@dataclass
class _Group:
    """Files of one folder and split with the same features."""

    files: list[_File]
    summary: Summary

    @property
    def title(self) -> str:
        """The name of the files together."""
        folder, names = self.files[0].path.parent, [file.path.name for file in self.files]
        if len(names) == 1:
            return f"{folder / names[0]}"
        return f"{folder}: {names[0]} ... {names[-1]}" if len(names) > 2 else f"{folder}: {', '.join(names)}"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, where a manifest tells them."""
        manifest = self.files[0].manifest
        return manifest.classes if manifest and self.summary.label_feature == "target" else ()

    @property
    def labels(self) -> FeatureStats | None:
        """Statistics of the feature that holds the class."""
        return self.summary.features.get(self.summary.label_feature)


def run(config: InspectShardsConfig) -> None:
    """Inspects files."""
    if not config.paths:
        raise CommandError("no path given; name TFRecord files, or folders of them")
    files, problems = _find_all(config.paths)
    groups, found = _read_all(files, config)
    problems += found
    for group in groups:
        _print(*_describe(group), "")
    if config.contact_sheet:
        _print(_draw(groups, config), "")
    if config.verify:
        _conclude(files, groups, problems)
    elif problems:
        _print(f"DAMAGED: {problems[0]}{_and_more(problems)}; --verify names all", "")


def _print(*lines: str) -> None:
    """Prints lines; what the files hold, whoever wrote them, commands no terminal."""
    print(*map(in_one_line, lines), sep="\n")


def _find_all(paths: Sequence[str]) -> tuple[list[_File], list[Problem]]:
    files, problems = {}, []
    for text in paths:
        path = as_path(text)
        found, wrong = _find(path.parent, [path.name]) if is_file(path) else _find_in_folder(path)
        files |= {str(file.path): file for file in found}
        problems += wrong
    return list(files.values()), list(dict.fromkeys(problems))


def _find_in_folder(folder: AnyPath) -> tuple[list[_File], list[Problem]]:
    everything = [file.name for file in list_files(folder)]
    names = [name for name in everything if _FILE_NAME.fullmatch(name)]
    if not names and MANIFEST_FILE not in everything:
        what = "no TFRecord files (*.tfrec, *.tfrecord, *-00000-of-00005) in this folder" if everything else "not there"
        raise DataError(f"{folder}: {what}; give TFRecord files, or the folder that holds them")
    files, problems = _find(folder, names)
    known = [shard.file for shard in files[0].manifest.shards] if files and files[0].manifest else []
    if not names and not problems and (manifest := _open_manifest(folder)):
        known = [shard.file for shard in manifest.shards]
    missing = sorted(set(known) - set(names)) or missing_numbered_files(names)
    return files, problems + [Problem(folder / name, "is missing") for name in missing]


def _find(folder: AnyPath, names: Sequence[str]) -> tuple[list[_File], list[Problem]]:
    """Returns files of one folder with what its manifest says of them, and what is wrong with that."""
    problems, manifest = [], None
    try:
        manifest = _open_manifest(folder)
    except DataError as error:
        problems.append(Problem(folder / MANIFEST_FILE, str(error).removeprefix(f"{folder / MANIFEST_FILE}: ")))
    entries = {shard.file: shard for shard in manifest.shards} if manifest else {}
    files = [_File(folder / name, file_size(folder / name), manifest, entries.get(name)) for name in names]
    unknown = [Problem(file.path, "the manifest does not know it") for file in files if manifest and not file.entry]
    return files, problems + unknown


def _open_manifest(folder: AnyPath) -> Manifest | None:
    """Returns the manifest of a folder; None if there is none, or one of another program or version of ours.

    Raises:
      DataError: if it is damaged.
    """
    path = folder / MANIFEST_FILE
    if not is_file(path):
        return None
    try:
        values = json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error})") from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if version == SCHEMA_VERSION:
        return read_manifest(folder)
    origin = "another program" if version is None else f"another version of make_shards (schema {version})"
    logging.warning("%s: written by %s; the shards are not compared with it", path, origin)
    return None


def _read_all(files: Sequence[_File], config: InspectShardsConfig) -> tuple[list[_Group], list[Problem]]:
    groups: dict[tuple, _Group] = {}
    problems = []
    progress = _ByteProgress(sum(file.size for file in files))
    for file in files:
        summary, wrong = _read(file, config, progress)
        problems += wrong
        key = (str(file.path.parent), split_of(file.path.name), summary.signature())
        group = groups.setdefault(key, _Group([], Summary(config.label_feature, _sample_size(config))))
        group.files.append(file)
        group.summary.merge(summary)
    progress.finish()
    return list(groups.values()), problems


def _read(file: _File, config: InspectShardsConfig, progress: "_ByteProgress") -> tuple[Summary, list[Problem]]:
    summary, check = Summary(config.label_feature, _sample_size(config)), FileCheck(file.path)
    for record in check.sound_records():
        features = summary.add(record.payload)
        if config.decode_images:
            _decode_all(features, record, check)
        if file.has_boxes and (problem := problem_of_boxes(features.get(example.BOXES_FEATURE, []))):
            check.add_record_problem(record, f"feature {example.BOXES_FEATURE} {problem}")
        if config.verify and file.has_masks:
            for mask in features.get(example.MASK_FEATURE, []):
                if problem := problem_of_mask(mask, file.manifest.image_size):
                    check.add_record_problem(record, f"feature {example.MASK_FEATURE} {problem}")
        progress.show(check.position)
    progress.leave(file.size)
    targets = summary.features.get("target", FeatureStats())
    counts = None if targets.overflowed else targets.values
    return summary, check.problems + file_problems(check, file.entry, counts)


def _decode_all(features: dict[str, list], record: ScannedRecord, check: FileCheck) -> None:
    for name, values in features.items():
        for value in values:
            if not isinstance(value, bytes) or not is_encoded(value):
                continue
            try:
                decode_image(value)
            except RefusedImage as refusal:
                check.add_record_problem(record, f"feature {name} does not decode ({refusal})")


class _ByteProgress:
    """Progress over the bytes of several files, in MB."""

    def __init__(self, total: int) -> None:
        self._total = max(1, total // 10**6)
        self._progress = Progress("reading", self._total, "MB")
        self._before = 0

    def show(self, position: int) -> None:
        """Shows how far into the present file the reader is."""
        self._progress.update(min((self._before + position) // 10**6, self._total - 1))

    def leave(self, size: int) -> None:
        """Counts the present file as read."""
        self._before += size

    def finish(self) -> None:
        """Shows that all is read."""
        self._progress.update(self._total)


def _sample_size(config: InspectShardsConfig) -> int:
    return config.images if config.contact_sheet else 0


def _describe(group: _Group) -> Iterator[str]:
    summary, split = group.summary, split_of(group.files[0].path.name)
    size = format_bytes(sum(file.size for file in group.files))
    yield group.title
    named = f", split: {split}" if split else ""
    yield f"  {_count(len(group.files), 'file')}, {_count(summary.records, 'record')}, {size}{named}"
    if summary.sequence_examples:
        yield f"  {_count(summary.sequence_examples, 'record')} of tf.train.SequenceExample (features not shown)"
    if summary.others:
        yield f"  {_count(summary.others, 'record')} of no known kind (not tf.train.Example)"
    if not summary.records:
        yield "  no record in it can be read"
    if summary.features:
        yield from _indented(feature_table(summary))
    if group.labels:
        yield from _indented(class_table(summary.label_feature, group.labels, group.classes))
    elif summary.features:
        yield "  no feature holds a class, as far as its name tells; --label_feature=NAME counts one"


def _indented(lines: Sequence[str]) -> Iterator[str]:
    yield ""
    yield from (f"  {line}" for line in lines)


def _draw(groups: Sequence[_Group], config: InspectShardsConfig) -> str:
    """Writes the contact sheet and returns a line on what is on it."""
    features = [_image_feature(group, config) for group in groups]
    with_images = [(group, feature) for group, feature in zip(groups, features, strict=True) if feature]
    if not with_images:
        raise DataError("no feature holds an image that can be shown; name one with --image_feature")
    images_each = max(1, config.images // len(with_images))
    sections = [_section(group, feature, images_each) for group, feature in with_images]
    path = Path(config.contact_sheet)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_contact_sheet(path, sections)
    shown = sum(len(section.tiles) for section in sections)
    return (
        f"contact sheet: {_count(shown, 'image')} of feature {', '.join(sorted({*filter(None, features)}))} in {path}"
    )


def _image_feature(group: _Group, config: InspectShardsConfig) -> str | None:
    if config.image_feature:
        return config.image_feature if config.image_feature in group.summary.features else None
    return find_image_feature([example.parse(record) for _, record in group.summary.sample.items()])


def _section(group: _Group, feature: str, size: int) -> Section:
    tiles = []
    for label, record in group.summary.sample.reduced(size).items():
        text = label_text(label, group.classes)
        caption = f"{group.summary.label_feature} {text}" if text.isdigit() else text
        features = example.parse(record)
        image = _image(features, feature, group.summary.features[feature])
        boxes = whole_boxes(features.get(example.BOXES_FEATURE, [])) if group.files[0].has_boxes else ()
        mask = _mask(features) if group.files[0].has_masks else None
        tiles.append(Tile(image, caption, boxes, mask))
    return Section(f"{group.title}: {len(tiles)} of {_count(group.summary.records, 'record')}", tuple(tiles))


def _image(features: dict[str, list], name: str, stats: FeatureStats) -> np.ndarray | None:
    values = features.get(name, [])
    if not values:
        return None
    try:
        if isinstance(values[0], bytes) and is_encoded(values[0]):
            return decode_image(values[0])
        low, high = (0, 255) if stats.numbers.low is None else (stats.numbers.low, stats.numbers.high)
        return raw_image(features, name, low=low, high=high)
    except RefusedImage:
        return None  # shown as such


def _mask(features: dict[str, list]) -> np.ndarray | None:
    try:
        return decode_mask(features[example.MASK_FEATURE][0]) if features.get(example.MASK_FEATURE) else None
    except RefusedImage:
        return None


def _conclude(files: Sequence[_File], groups: Sequence[_Group], problems: Sequence[Problem]) -> None:
    """Prints what --verify found; raises DataError if that is anything."""
    records = sum(group.summary.records for group in groups)
    size = format_bytes(sum(file.size for file in files))
    uncounted = [file for file in files if file.entry is None and expected_records(file.path.name) is None]
    if uncounted:
        _print(
            f"note: {_names(uncounted)}: neither a manifest nor a count in the name, "
            "so a cut exactly between two records would not be seen"
        )
    if not problems:
        listed = ", and all is as the manifest says" if files and all(file.entry for file in files) else ""
        read = f"{_count(len(files), 'file')}, {_count(records, 'record')}, {size}"
        _print(f"verified: {read}: every checksum is right{listed}")
        return
    _print(*(f"BROKEN {problem}" for problem in problems))
    broken = len({str(problem.path) for problem in problems})
    raise DataError(
        f"{_count(broken, 'file')} broken, with {_count(len(problems), 'problem')} named above; "
        "make or download the broken files again"
    )


def _names(files: Sequence[_File]) -> str:
    names = [file.path.name for file in files]
    return ", ".join(names) if len(names) <= 3 else f"{len(names):,} files ({names[0]} ... {names[-1]})"


def _and_more(problems: Sequence[Problem]) -> str:
    return f" (and {_count(len(problems) - 1, 'more problem')})" if len(problems) > 1 else ""


def _count(number: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("s") else "s")
    return f"{number:,} {noun if number == 1 else plural}"


if __name__ == "__main__":
    main(InspectShardsConfig, run, positional="paths")
