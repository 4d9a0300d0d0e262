"""Images and CSV -> TFRecord shards in the public Kaggle melanoma format, in folds that do not leak.

    python -m pipelines.make_shards --source=siim_isic --input=DOWNLOAD --output=SHARDS --image_size=256

Writes train00-<records>.tfrec ... and test00-<records>.tfrec ..., manifest.json, lists of what was rejected, blank,
duplicate or not understood and, where the source has one, sample_submission.csv.

`dask scheduler` and `dask worker` listen on all addresses of their machine and run what anybody sends: use them in a
private network, and with certificates (--scheduler=tls://HOST:PORT --scheduler_security=FILE, see docs/shards.md).
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import partial

import pandas as pd
from absl import logging

from pipelines.artefacts.shards_report import BLANK_FILE, VALUES_FILE, MarkedImages, ShardsReport
from pipelines.contract.main import main
from pipelines.contract.progress import Progress
from pipelines.contract.shared_settings import EngineSettings, JpegSettings, RejectionSettings
from pipelines.contract.workdir import open_workdir
from pipelines.conversion.writing import REJECTED_FILE, rejections_of, write_all, write_rejected
from tfrecords_tools.balance import balance_table, format_balance
from tfrecords_tools.csv_tables import write_table
from tfrecords_tools.duplicate_rows import DUPLICATES, Duplicates, find_duplicate_rows
from tfrecords_tools.engines import ENGINES
from tfrecords_tools.foundation.errors import CommandError, look_up
from tfrecords_tools.foundation.files import AnyPath, as_path, file_sha256, is_remote, read_text, write_atomically
from tfrecords_tools.foundation.metadata import CATEGORIES, MISSING, PATIENT
from tfrecords_tools.foundation.settings import IMAGE_SIZE, require, setting
from tfrecords_tools.foundation.texts import first_names
from tfrecords_tools.images import FITS, Encoding
from tfrecords_tools.manifest import (
    MANIFEST_FILE,
    DuplicateCounts,
    Manifest,
    read_manifest,
    require_images,
    write_manifest,
)
from tfrecords_tools.mask_rows import find_mask_rows
from tfrecords_tools.planning import Fingerprints, Plan, plan_shards, write_plan
from tfrecords_tools.provenance import LesionsOrigin
from tfrecords_tools.rows import MaskFile
from tfrecords_tools.shards import ShardJob, ShardResult, remove_leftovers, remove_parts, write_shard
from tfrecords_tools.sources import SOURCES, SourceOptions
from tfrecords_tools.sources.box_table import read_boxes
from tfrecords_tools.sources.merging import MergedTable, merge_sources
from tfrecords_tools.verifying import require_sizes

FIND = "auto"  # the value of --boxes and --masks for what is looked for in the images
TRUE_MASKS = "true"  # the value of --masks for the folder that a source brings
TFRECORDS, ANEW, KEPT = "tfrecords", "anew", "kept"
OF_MASKS = "masks"  # the origin of boxes around masks
SAMPLE_SUBMISSION_FILE = "sample_submission.csv"
DUPLICATES_FILE = "duplicates.csv"


@dataclass(frozen=True, kw_only=True)
class MakeShardsConfig(EngineSettings, JpegSettings, RejectionSettings):
    """Settings of make_shards."""

    source: tuple[str, ...] = setting(help=f"data set: {', '.join(SOURCES)}; repeat it with --input to merge several")
    output: str = setting(help="folder of the shards, local or gs://", changes_result=False)
    input: tuple[str, ...] = setting(
        (), "folder of each --source, local or gs:// (phantom: default OUTPUT_images)", is_path=True
    )
    image_size: int | None = setting(
        None, f"side of the stored images in pixels (default: {IMAGE_SIZE}; of tfrecords, as their images are)"
    )
    fit: str = setting("crop", "how images that are not square become square", choices=tuple(FITS))
    boxes: str | None = setting(
        None,
        "boxes of lesions: CSV of image_name, x_min, y_min, x_max, y_max in pixels; auto: looked for in the images",
        is_path=True,
        words=(FIND,),
    )
    masks: str | None = setting(
        None,
        "masks of lesions: folder of <image_name>_Segmentation.png; auto: looked for in the images; true: phantom's",
        is_path=True,
        words=(FIND, TRUE_MASKS),
    )
    num_shards: int = setting(15, "shards of each split; a fold is a set of whole shards")
    folds: str = setting(
        ANEW,
        f"{ANEW}: images are dealt to shards, a patient's to one; {KEPT}: the files of tfrecords stay shards",
        choices=(ANEW, KEPT),
    )
    duplicates: str = setting(
        "together",
        "images that look alike: kept in one shard, or only the first kept; bytes: only equal files are found",
        choices=tuple(DUPLICATES),
    )
    seed: int = setting(0, "seed of the folds, of the order of records, and of phantom's images")
    num_images: int = setting(800, "images that phantom draws, train and test together")
    workers: int = setting(0, "processes of this machine; 0: one a core", changes_result=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.source:
            look_up(SOURCES, name, "source")
        require(
            self.image_size is None or 8 <= self.image_size <= 4096, "image_size", self.image_size, "from 8 to 4096"
        )
        require(self.folds == ANEW or self.source == (TFRECORDS,), "folds", self.folds, f"{ANEW} but for {TFRECORDS}")
        require(1 <= self.num_shards <= 9999, "num_shards", self.num_shards, "from 1 to 9999")
        require(self.num_images >= 100, "num_images", self.num_images, "at least 100")
        require(self.workers >= 0, "workers", self.workers, "0 or greater")
        require(self.seed >= 0, "seed", self.seed, "0 or greater")


def run(config: MakeShardsConfig) -> None:
    """Converts one or several data sets."""
    inputs = _inputs(config)
    if config.image_size is None and TFRECORDS not in config.source:
        config = replace(config, image_size=IMAGE_SIZE)
    output = _absolute(as_path(config.output))
    workdir = open_workdir(output, "make_shards", config)
    if workdir is None:
        require_sizes(output, read_manifest(output).shards)
        remove_parts(output)  # of a run that was killed between its two last lines
        return
    with workdir:
        table = _read_sources(config, inputs)
        config = replace(config, image_size=_image_size(config, table))
        boxes = _read_boxes(config, table)
        masks = _read_masks(config, table)
        workdir.begin()  # its inputs are compared row by row, see write_plan: a corrected box may be resumed with
        duplicates = find_duplicate_rows(
            table, output, config.duplicates, partial(_run_jobs, config, title="looking for duplicates", unit="files")
        )
        table = replace(table, train=duplicates.train, test=duplicates.test)
        plan = plan_shards(
            table,
            duplicates.codes,
            num_shards=config.num_shards,
            seed=config.seed,
            keeps_shards=config.folds == KEPT,
        )
        plan = replace(plan, boxes=boxes, masks=masks)
        fingerprints = write_plan(output, plan, table.roots)
        balance = _balance(plan, table)
        logging.info("balance of the training shards:\n%s", format_balance(balance))
        results = _write_all(config, output, table, plan)
        manifest = _manifest(config, table, results, fingerprints, balance, duplicates)
        manifest = replace(manifest, boxes=_origin_of_boxes(config), masks=_origin_of_masks(config, masks))
        _require_images(manifest, results, output)
        _finish(output, manifest, results, table, duplicates)
        _log_summary(manifest, output)
        workdir.complete(_report(manifest, output), _files(table))
        remove_parts(output)  # last: a run that resumes needs them to know what is finished


def _inputs(config: MakeShardsConfig) -> tuple[str, ...]:
    """Returns the folder of each source."""
    inputs = config.input
    if not inputs and config.source == ("phantom",):
        inputs = (f"{config.output.rstrip('/')}_images",)
    if len(inputs) != len(config.source):
        raise CommandError(
            f"--input names {len(inputs)} folder(s), --source {len(config.source)}; every source needs its folder"
        )
    return inputs


def _read_sources(config: MakeShardsConfig, inputs: Sequence[str]) -> MergedTable:
    options = SourceOptions(num_images=config.num_images, seed=config.seed)
    tables = []
    for name, folder in zip(config.source, inputs, strict=True):
        logging.info("reading %s from %s", name, folder)
        tables.append(SOURCES[name](_absolute(as_path(folder)), options))
    return merge_sources(config.source, tables)


def _image_size(config: MakeShardsConfig, table: MergedTable) -> int:
    """Returns the side of the stored images: if none is given, that of the source's own where all are equal squares.

    Raises:
      CommandError: if none is given, and the source's images have other sizes.
    """
    if config.image_size is not None:
        return config.image_size
    if not table.sizes:
        return IMAGE_SIZE
    width, height = table.sizes[0]
    if len(table.sizes) > 1 or width != height:
        told = first_names([f"{width} x {height}" for width, height in table.sizes], 3)
        raise CommandError(f"{table.roots[0]}: its images have {told} pixels; say by --image_size what all are to have")
    return width


def _balance(plan: Plan, table: MergedTable) -> pd.DataFrame:
    return balance_table(
        plan.groups,
        table.train["target"].to_numpy(),
        plan.shard_of_row,
        table.classes,
        sources=table.train["source"].to_numpy(),
        source_names=table.names,
    )


def _read_boxes(config: MakeShardsConfig, table: MergedTable) -> dict[str, list[list[float]]]:
    """Returns the boxes of the CSV, by image name; none without one."""
    if config.boxes in (None, FIND):
        return {}
    parts = [table.train] if table.test is None else [table.train, table.test]
    return read_boxes(as_path(config.boxes), {name for part in parts for name in part["image_name"]})


def _masks_folder(config: MakeShardsConfig, table: MergedTable) -> AnyPath | None:
    """Returns the folder of the masks; None where there are none, or they are looked for."""
    if config.masks in (None, FIND):
        return None
    if config.masks != TRUE_MASKS:
        return _absolute(as_path(config.masks))
    if table.masks is None:
        raise CommandError(
            f"--masks={TRUE_MASKS}: one source must bring masks, and none of {', '.join(table.names)} does (phantom: "
            f"drawn by an earlier version); name the folder of the masks, or take --masks={FIND}"
        )
    return table.masks


def _read_masks(config: MakeShardsConfig, table: MergedTable) -> dict[str, MaskFile]:
    """Returns the masks of the folder, by image name, after each was looked into; none without one."""
    folder = _masks_folder(config, table)
    if folder is None:
        return {}
    return find_mask_rows(folder, table, partial(_run_jobs, config, title="looking into masks", unit="masks"))


def _run_jobs(config: MakeShardsConfig, jobs: Sequence, work: Callable, *, title: str, unit: str) -> list:
    """Runs jobs that look into files."""
    progress = Progress(title, sum(len(job.files) for job in jobs), unit)
    results, done = [], 0
    for result in ENGINES[config.engine](jobs, work, config.engine_options(config.workers)):
        results.append(result)
        done += len(result.scanned)
        progress.update(done)
    return results


def _write_all(config: MakeShardsConfig, output: AnyPath, table: MergedTable, plan: Plan) -> list[ShardResult]:
    """Runs the jobs that an earlier run has not finished; stops when too many images cannot be read."""
    jobs = [
        ShardJob(
            folder=str(output),
            split=shard.split,
            index=shard.index,
            num_classes=len(table.classes),
            roots=tuple(str(root) for root in table.roots),
            encoding=Encoding(image_size=config.image_size, fit=config.fit, quality=config.quality),
            find_boxes=config.boxes == FIND,
            masks=str(_masks_folder(config, table) or ""),
            find_masks=config.masks == FIND,
            boxes_of_masks=config.masks is not None and config.boxes is None,
        )
        for shard in plan.shards
    ]
    num_images = sum(len(shard.positions) for shard in plan.shards)
    engine = partial(ENGINES[config.engine], work=write_shard, options=config.engine_options(config.workers))
    return write_all(output, jobs, num_images, engine=engine, max_rejected=config.max_rejected)


def _require_images(manifest: Manifest, results: Sequence[ShardResult], output: AnyPath) -> None:
    """Raises DataError for a class without a training image, with the first image that was left out."""
    rejected = rejections_of(results)
    place = f"{output}"
    if rejected:
        _, file, reason = rejected[0]
        place += f" ({len(rejected)} images were left out, the first is {file}: {reason})"
    require_images(manifest, place)


def _manifest(
    config: MakeShardsConfig,
    table: MergedTable,
    results: Sequence[ShardResult],
    fingerprints: Fingerprints,
    balance: pd.DataFrame,
    duplicates: Duplicates,
) -> Manifest:
    return Manifest(
        source="+".join(table.names),
        source_fingerprint=fingerprints.rows,
        folds_fingerprint=fingerprints.folds,
        classes=table.classes,
        image_size=config.image_size,
        encoder={"format": "JPEG", "fit": config.fit, "quality": config.quality, "subsampling": "4:4:4"},
        shards=tuple(result.entry for result in results),
        codes={
            "missing": MISSING,
            PATIENT: "order of first appearance in train, then test",
            **{name: category.codes for name, category in CATEGORIES.items()},
            "target": {name: code for code, name in enumerate(table.classes)},
            "source": {name: code for code, name in enumerate(table.names)},
        },
        rejected=sum(len(result.rejected) for result in results),
        blank=sum(len(result.blank) for result in results),
        balance=tuple(balance.to_dict("records")),
        duplicates=duplicates.counts(),
    )


def _origin_of_boxes(config: MakeShardsConfig) -> LesionsOrigin | None:
    """Returns where the boxes come from, None without boxes."""
    if config.boxes is None:
        return None if config.masks is None else LesionsOrigin(origin=OF_MASKS)
    if config.boxes == FIND:
        return LesionsOrigin(origin=FIND)
    path = as_path(config.boxes)
    return LesionsOrigin(origin=path.name, sha256=file_sha256(path))


def _origin_of_masks(config: MakeShardsConfig, masks: Mapping[str, MaskFile]) -> LesionsOrigin | None:
    """Returns where the masks come from, None without masks; a folder is told by names and checksums of what it has."""
    if config.masks is None:
        return None
    if config.masks in (FIND, TRUE_MASKS):
        return LesionsOrigin(origin=config.masks)
    lines = sorted(f"{name} {mask.crc32c}\n" for name, mask in masks.items())
    return LesionsOrigin(origin=as_path(config.masks).name, sha256=hashlib.sha256("".join(lines).encode()).hexdigest())


def _finish(
    output: AnyPath, manifest: Manifest, results: Sequence[ShardResult], table: MergedTable, duplicates: Duplicates
) -> None:
    """Writes the tables and, last, the manifest, which then vouches for the shards."""
    remove_leftovers(output, keep=[result.entry.file for result in results])  # of workers that were killed
    write_rejected(output, rejections_of(results))
    blank = [each for result in results for each in result.blank]
    write_table(output / BLANK_FILE, pd.DataFrame(blank, columns=["image_name", "file"]))
    values = pd.DataFrame(map(astuple, table.not_understood), columns=["table", "column", "value", "images"])
    write_table(output / VALUES_FILE, values)
    write_table(output / DUPLICATES_FILE, duplicates.table)
    if table.sample_submission is not None:
        write_atomically(output / SAMPLE_SUBMISSION_FILE, read_text(table.sample_submission))
    write_manifest(output, manifest)


def _absolute(path: AnyPath) -> AnyPath:
    """Returns a path that means the same to workers with another current folder."""
    return path if is_remote(path) else path.absolute()


def _files(table: MergedTable) -> list[str]:
    """Returns the files, beside the shards, that later commands read."""
    return [MANIFEST_FILE] + ([] if table.sample_submission is None else [SAMPLE_SUBMISSION_FILE])


def _report(manifest: Manifest, output: AnyPath) -> ShardsReport:
    splits = Counter(shard.split for shard in manifest.shards)
    return ShardsReport(
        source=manifest.source,
        source_fingerprint=manifest.source_fingerprint,
        classes=manifest.classes,
        class_counts=manifest.class_counts(),
        shards=dict(splits),
        records={split: sum(shard.records for shard in manifest.split(split)) for split in splits},
        rejected=manifest.rejected,
        boxes=_marked(manifest.boxes, manifest.boxed_counts()),
        masks=_marked(manifest.masks, manifest.masked_counts()),
        duplicates=manifest.duplicates,
        manifest_sha256=file_sha256(output / MANIFEST_FILE),
    )


def _marked(origin: LesionsOrigin | None, counts: tuple[int, ...]) -> MarkedImages | None:
    return origin and MarkedImages(origin=origin.origin, sha256=origin.sha256, class_counts=counts)


def _log_summary(manifest: Manifest, output: AnyPath) -> None:
    counts = ", ".join(f"{n} {name}" for name, n in zip(manifest.classes, manifest.class_counts(), strict=True))
    logging.info("train: %d shards with %s", len(manifest.split("train")), counts)
    for kind, origin, found in (
        ("boxes", manifest.boxes, manifest.boxed_counts()),
        ("masks", manifest.masks, manifest.masked_counts()),
    ):
        if origin:
            marked = ", ".join(f"{count} {name}" for name, count in zip(manifest.classes, found, strict=True))
            logging.info("training images with %s: %s", kind, marked)
    if test := manifest.split("test"):
        logging.info("test: %d shards with %d images", len(test), sum(shard.records for shard in test))
    if manifest.duplicates.images:
        logging.info("%s: see %s", _describe_duplicates(manifest.duplicates), output / DUPLICATES_FILE)
    if manifest.rejected:
        logging.warning("%d images were left out: see %s", manifest.rejected, output / REJECTED_FILE)
    if manifest.blank:
        logging.warning("%d images are of one colour: see %s", manifest.blank, output / BLANK_FILE)
    logging.info("manifest: %s", output / MANIFEST_FILE)


def _describe_duplicates(found: DuplicateCounts) -> str:
    groups = "1 group" if found.groups == 1 else f"{found.groups} groups"
    fate = f"{found.dropped} dropped" if found.dropped else "the training images of each in one shard"
    text = f"{found.images} images are in {groups} of duplicates, {fate}"
    both = found.groups_of_both_splits
    return f"{text}; test images are in {both} of the groups" if both else text


if __name__ == "__main__":
    main(MakeShardsConfig, run)
