"""Shards: whole or not there at all, whatever ends the job; finished ones are used again only if intact."""

import hashlib
import json
import multiprocessing
import os
import re
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.tfrecords_tools.made_up_tables import drawn_lesion
from tests.tfrecords_tools.tiny_shards import decoded, encoded, plain, row, shard_job, shard_jobs
from tfrecords_tools.engines import ENGINES, EngineOptions
from tfrecords_tools.example import Example, Provenance, parse
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import crc32c, is_unfinished
from tfrecords_tools.images import Encoding
from tfrecords_tools.lesion_box import find_lesion
from tfrecords_tools.manifest import Manifest
from tfrecords_tools.masks import decode_mask, encode_mask
from tfrecords_tools.records import read_records
from tfrecords_tools.rows import MaskFile, Row, write_rows
from tfrecords_tools.shards import (
    ShardJob,
    ShardResult,
    read_part,
    remove_leftovers,
    remove_parts,
    rows_path,
    write_examples,
    write_part,
    write_shard,
)

PROCESSES = multiprocessing.get_context("forkserver")


@pytest.fixture
def root(tmp_path):
    return tmp_path / "images"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "shards"


@pytest.fixture
def job(root, output) -> ShardJob:
    return shard_jobs(root, output, num_shards=1, rows=3)[0]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def with_rows(job: ShardJob, *rows) -> ShardJob:
    write_rows(rows_path(Path(job.folder), job.split, job.index), rows)
    return job


def test_a_shard_holds_its_rows_in_order(job, output):
    result = write_shard(job)
    examples = [parse(record) for record in read_records(output / "train00-3.tfrec")]
    assert [values["image_name"] for values in examples] == [[b"0"], [b"1"], [b"2"]]
    assert [values["target"] for values in examples] == [[0], [1], [0]]
    assert [round(decoded(values["image"][0]).mean()) for values in examples] == [0, 1, 2]
    assert all(values["width"] == values["height"] == [16] for values in examples)
    assert (result.entry.records, result.entry.class_counts, result.rejected) == (3, (2, 1), ())
    assert names(output) == ["parts", "train00-3.tfrec"]


def test_test_shards_count_no_classes(root, output, job):
    entry = write_shard(shard_job(root, output, 4, range(2), split="test")).entry
    assert (entry.file, entry.class_counts) == ("test04-2.tfrec", ())


def test_images_that_cannot_be_read_are_left_out_with_their_reason(root, job):
    (root / "empty.jpg").write_bytes(b"")
    rows = [row(root, name) for name in ("0.jpg", "empty.jpg", "missing.jpg", ".", "1.jpg")]
    result = write_shard(with_rows(job, *rows))
    assert result.entry.file == "train00-2.tfrec"
    assert result.rejected == (
        ("empty", str(root / "empty.jpg"), "the file is empty"),
        ("missing", str(root / "missing.jpg"), "cannot be read: No such file or directory"),
        ("", str(root), "cannot be read: Is a directory"),
    )


def test_a_shard_of_refused_images_only_is_empty_and_counts_none(root, job):
    entry = write_shard(with_rows(job, row(root, "missing.jpg"))).entry
    assert (entry.file, entry.bytes, entry.class_counts) == ("train00-0.tfrec", 0, (0, 0))
    manifest = Manifest(
        source="",
        source_fingerprint="",
        folds_fingerprint="",
        classes=("benign", "malignant"),
        image_size=16,
        encoder={},
        shards=(entry,),
    )
    assert manifest.class_counts() == (0, 0)


def test_a_path_that_leaves_the_input_folder_is_refused(tmp_path, root, job):
    outside = tmp_path / "secret.jpg"
    outside.write_bytes(encoded(plain(9)))
    (root / "sub").mkdir()
    (root / "link.jpg").symlink_to(outside)
    (root / "inside.jpg").symlink_to(root / "0.jpg")
    files = ["../secret.jpg", str(outside), "link.jpg", "inside.jpg", "sub/../1.jpg"]
    result = write_shard(with_rows(job, *(row(root, file) for file in files)))
    assert [file for _, file, _ in result.rejected] == [str(root / file) for file in files[:3]]
    assert all(str(root) in reason for _, _, reason in result.rejected)
    assert result.entry.records == 2


def boxed(row: Row, *boxes: list[float]) -> Row:
    return replace(row, boxes=list(boxes))


def stored_boxes(output: Path, result: ShardResult) -> list[list[float]]:
    return [parse(record).get("boxes", []) for record in read_records(output / result.entry.file)]


def test_boxes_are_stored_as_fractions_of_the_sides_and_counted_by_class(root, output, job):
    rows = [boxed(row(root, "0.jpg"), [4, 0, 8, 16], [8, 0, 16, 16]), row(root, "1.jpg", 1), row(root, "2.jpg")]
    result = write_shard(with_rows(job, *rows))
    assert stored_boxes(output, result) == [[0.5, 0, 1, 1, 0.25, 0, 0.5, 1], [], []]
    assert (result.entry.class_counts, result.entry.boxed_counts) == ((2, 1), (1, 0))
    assert read_part(output, "train", 0) == result


def masked(root: Path, row: Row, mask: np.ndarray) -> Row:
    """A row with a mask, which lies beside its image."""
    data = encode_mask(mask)
    (root / f"{row.file}.png").write_bytes(data)
    return replace(row, mask=MaskFile(f"{row.file}.png", len(data), crc32c(data)))


LEFT_AND_CORNER = np.zeros((16, 16), bool)
LEFT_AND_CORNER[:, :4] = LEFT_AND_CORNER[14:, 14:] = True


def test_masks_are_stored_in_the_size_of_the_image_and_boxes_follow_from_them(root, output, job):
    rows = [masked(root, row(root, "0.jpg"), LEFT_AND_CORNER), row(root, "1.jpg", 1)]
    small = replace(job, masks=str(root), boxes_of_masks=True, encoding=Encoding(image_size=8))
    result = write_shard(with_rows(small, *rows))
    first, second = (parse(record) for record in read_records(output / result.entry.file))
    np.testing.assert_array_equal(decode_mask(first["mask"][0]), LEFT_AND_CORNER[::2, ::2])
    assert first["boxes"] == [0, 0, 0.25, 1, 0.875, 0.875, 1, 1]
    assert not {"mask", "boxes"} & second.keys()
    assert (result.entry.masked_counts, result.entry.boxed_counts) == ((1, 0), (1, 0))
    assert read_part(output, "train", 0) == result


def test_boxes_of_a_table_stay_beside_masks(root, output, job):
    rows = [boxed(masked(root, row(root, "0.jpg"), LEFT_AND_CORNER), [4, 0, 8, 16])]
    result = write_shard(with_rows(replace(job, masks=str(root)), *rows))
    assert stored_boxes(output, result) == [[0.25, 0, 0.5, 1]]


def test_masks_are_looked_for_in_the_pictures_of_training_images(root, output, job):
    (root / "0.jpg").write_bytes(encoded(drawn_lesion(0), quality=95))
    for side in (16, 128, 200):  # made smaller, copied, made larger
        looking = replace(job, find_masks=True, index=side, encoding=Encoding(image_size=side))
        result = write_shard(with_rows(looking, row(root, "0.jpg"), row(root, "1.jpg", 1)))
        first, second = (parse(record) for record in read_records(output / result.entry.file))
        mask = decode_mask(first["mask"][0])
        assert mask.shape == (side, side)
        assert 0.1 < mask.mean() < 0.6
        assert "mask" not in second
    test_rows = with_rows(replace(looking, split="test"), row(root, "0.jpg", -1))
    assert "mask" not in parse(next(read_records(output / write_shard(test_rows).entry.file)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: encode_mask(~LEFT_AND_CORNER), "changed"),
        (lambda data: data, r"12 x 16 .* 16 x 16 "),
    ],
)
def test_a_mask_that_does_not_fit_its_image_or_has_changed_stops_the_job(root, output, job, change, message):
    own = masked(root, row(root, "0.jpg"), LEFT_AND_CORNER[:, :12])
    (root / own.mask.file).write_bytes(change((root / own.mask.file).read_bytes()))
    with pytest.raises(DataError, match=rf"{root}/0\.jpg\.png: .*{message}"):
        write_shard(with_rows(replace(job, masks=str(root)), own))
    assert names(output) == ["parts"]


def test_without_boxes_nothing_of_them_is_counted(output, job):
    assert write_shard(job).entry.boxed_counts == ()


def drawn(number: int, **sources) -> Example:
    provenance = Provenance(generator="0a", method="dcgan", seed=3, index=number, **sources)
    return Example(image=b"jpeg", image_name="drawn", target=0, width=8, height=8, boxes=(BOX,), provenance=provenance)


BOX = (0.25, 0.5, 0.75, 1.0)


def test_shards_have_the_bytes_that_they_had_before_there_were_masks_and_images_made_from_others(tmp_path):
    """The digest is of the version before."""
    real = Example(
        image=b"jpeg",
        image_name="real",
        metadata={"age_approx": 45},
        target=1,
        width=8,
        height=8,
        source=0,
        boxes=(BOX, (0, 0, 1, 1)),
    )
    unlabelled = Example(image=b"jpeg", image_name="test", metadata={"age_approx": 45})
    entry = write_examples(tmp_path, "train", 0, [real, unlabelled, drawn(2**40)], 2)
    digest = hashlib.sha256((tmp_path / entry.file).read_bytes()).hexdigest()
    assert digest == "f562aef84fe1a898a9f7882b6a97ac239c1448d1f279bec36be566d02aa8f2f6"
    assert (entry.boxed_counts, entry.masked_counts, entry.made_from) == ((1, 1), (), ())


def test_masks_are_counted_by_class_and_the_shards_that_images_were_made_from_are_told(tmp_path):
    masked = Example(image=b"jpeg", image_name="real", target=1, mask=b"png")
    translated = [
        drawn(0, made_from=("a", "b"), made_from_shards=(7, 2)),
        drawn(1, made_from=("c",), made_from_shards=(2,)),
    ]
    entry = write_examples(tmp_path, "synthetic", 0, [masked, *translated], 2)
    assert (entry.class_counts, entry.masked_counts, entry.made_from) == ((2, 1), (0, 1), (2, 7))


def test_a_box_that_leaves_its_image_stops_the_job_and_leaves_no_shard(root, output, job):
    with pytest.raises(DataError, match=r"^image 1: .*\(0, 0, 17, 16\) .*16 x 16 .*--boxes"):
        write_shard(with_rows(job, row(root, "0.jpg"), boxed(row(root, "1.jpg"), [0, 0, 17, 16])))
    assert names(output) == ["parts"]


def test_boxes_are_looked_for_in_the_pictures_of_training_images(root, output, job):
    (root / "0.jpg").write_bytes(encoded(drawn_lesion(0), quality=95))
    for side in (16, 128, 200):  # made smaller, copied, made larger
        looking = replace(job, find_boxes=True, index=side, encoding=Encoding(image_size=side))
        result = write_shard(with_rows(looking, row(root, "0.jpg"), row(root, "1.jpg", 1)))
        assert result.entry.boxed_counts == (1, 0)
        found, none = stored_boxes(output, result)
        np.testing.assert_allclose(found, find_lesion(drawn_lesion(0)), atol=0.08)
        assert none == []
    looking = replace(shard_job(root, output, 4, range(2), split="test"), find_boxes=True)
    assert stored_boxes(output, write_shard(looking)) == [[], []]


@pytest.mark.timeout(120)
def test_a_job_killed_in_the_middle_leaves_no_shard_and_is_repeated_whole(root, output, job):
    pipe = root / "1.jpg"
    image = pipe.read_bytes()
    pipe.unlink()
    os.mkfifo(pipe)
    process = PROCESSES.Process(target=write_shard, args=(job,))
    process.start()
    with open(pipe, "wb"):  # opens when the process is about to read its second image
        process.kill()
        process.join()
    assert is_unfinished(names(output)[0])
    assert names(output)[1:] == ["parts"]

    pipe.unlink()
    pipe.write_bytes(image)
    result = write_shard(job)
    assert result.entry.records == 3
    remove_leftovers(output, keep=[result.entry.file])
    assert names(output) == ["parts", "train00-3.tfrec"]


def write_on_a_full_disk(job: ShardJob, answer) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        write_shard(job)
    except DataError as error:
        answer.send(str(error))


def test_a_full_disk_is_named_and_leaves_nothing(output, job):
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=write_on_a_full_disk, args=(job, theirs))
    process.start()
    theirs.close()
    assert re.match(rf"{output}: File too large; ", ours.recv())
    process.join()
    assert names(output) == ["parts"]


def test_an_error_of_whoever_draws_the_examples_leaves_nothing(tmp_path):
    def examples():
        yield Example(image=b"", image_name="0", target=0)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_examples(tmp_path, "synthetic", 0, examples(), num_classes=2)
    assert names(tmp_path) == []


def test_a_finished_shard_is_not_written_again(output, job):
    first = write_shard(job)
    written = (output / first.entry.file).stat()
    assert write_shard(job) == first == read_part(output, "train", 0)
    again = (output / first.entry.file).stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_rejections_of_a_finished_shard_are_remembered(root, output, job):
    result = write_shard(with_rows(job, row(root, "0.jpg"), row(root, "missing.jpg")))
    assert read_part(output, "train", 0) == result


@pytest.mark.parametrize(
    "damage",
    [
        lambda shard, part: shard.unlink(),
        lambda shard, part: shard.write_bytes(shard.read_bytes()[:-1]),
        lambda shard, part: shard.write_bytes(shard.read_bytes()[:-1] + b"\0"),
        lambda shard, part: part.unlink(),
        lambda shard, part: part.write_text(part.read_text()[:-9]),
        lambda shard, part: part.write_text(json.dumps({"entry": {}})),
    ],
    ids=["no shard", "cut", "changed", "no part", "cut part", "other part"],
)
def test_a_shard_that_nothing_vouches_for_is_written_again(output, job, damage):
    first = write_shard(job)
    shard = output / first.entry.file
    whole = shard.read_bytes()
    damage(shard, output / "parts" / "train00.json")
    assert read_part(output, "train", 0) is None
    assert write_shard(job) == first
    assert shard.read_bytes() == whole


def test_leftovers_and_shards_not_kept_are_removed_and_nothing_else(tmp_path):
    for name in (".unfinished-71.train00.tfrec", "train00-2.tfrec", "train01-2.tfrec", "manifest.json", "notes.tmp"):
        (tmp_path / name).touch()
    remove_leftovers(tmp_path, keep=["train01-2.tfrec"])
    assert names(tmp_path) == ["manifest.json", "notes.tmp", "train01-2.tfrec"]


def test_parts_are_removed_once_they_are_not_needed(output, job):
    write_part(output, ShardResult(write_shard(job).entry))
    remove_parts(output)
    remove_parts(output)
    assert names(output) == ["train00-3.tfrec"]


@pytest.mark.parametrize("engine", ENGINES)
def test_bytes_are_the_same_whoever_writes(tmp_path, root, engine):
    def written(output: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in output.glob("*.tfrec")}

    for job in shard_jobs(root, tmp_path / "here", num_shards=3):
        write_shard(job)
    here = written(tmp_path / "here")
    assert len(here) == 3
    for workers in (1, 2):
        output = tmp_path / f"{workers} workers"
        results = list(
            ENGINES[engine](shard_jobs(root, output, num_shards=3), write_shard, EngineOptions(workers=workers))
        )
        assert sorted(result.entry.index for result in results) == [0, 1, 2]
        assert written(output) == here
