"""inspect_shards as a user runs it: on our shards and others', whole and broken."""

import re
import subprocess
import sys
from collections.abc import Iterable

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.pages.contact_sheet import TILE, Section, Tile, write_contact_sheet
from pipelines.pages.shard_tables import describe_values, format_bytes, shape
from tests.conftest import ROOT
from tfrecords_tools import example
from tfrecords_tools.images import encode_jpeg
from tfrecords_tools.inspecting import FeatureStats
from tfrecords_tools.manifest import Manifest, read_manifest, write_manifest
from tfrecords_tools.masks import encode_mask
from tfrecords_tools.provenance import LesionsOrigin
from tfrecords_tools.records import frame
from tfrecords_tools.shards import write_examples

CLASSES = ("benign", "malignant")
SHADES = (60, 200)  # of benign and malignant images


def inspect(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pipelines.inspect_shards", *map(str, arguments)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "Traceback" not in result.stderr, result.stderr
    return result


def examples(count: int, targets: bool = True):
    for number in range(count):
        label = int(number % 4 == 3)
        image = encode_jpeg(np.full((16, 16, 3), SHADES[label], np.uint8), 95)
        known = {"target": label, "width": 16, "height": 16} if targets else {}
        yield example.Example(image=image, image_name=f"ISIC_{number:07d}", **known)


@pytest.fixture
def shards(tmp_path):
    """Three train shards of 8 records, 2 of them malignant, a test shard, and their manifest."""
    folder = tmp_path / "shards"
    folder.mkdir()
    entries = [write_examples(folder, "train", index, examples(8), 2) for index in range(3)]
    entries.append(write_examples(folder, "test", 0, examples(5, targets=False), 2))
    write_manifest(
        folder,
        Manifest(
            source="test",
            source_fingerprint="",
            folds_fingerprint="",
            classes=CLASSES,
            image_size=16,
            encoder={},
            shards=tuple(entries),
        ),
    )
    return folder


def flip(path, *offsets):
    data = bytearray(path.read_bytes())
    for offset in offsets:
        data[offset] ^= 1
    path.write_bytes(data)


def second_record(path) -> int:
    return int.from_bytes(path.read_bytes()[:8], "little") + 16


def broken(result) -> list[str]:
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: ")
    lines = result.stdout.splitlines()
    return [line.removeprefix("BROKEN ").split("/")[-1] for line in lines if line.startswith("BROKEN ")]


def test_shards_are_described_as_sets_with_their_features_and_classes(shards):
    result = inspect(shards)
    assert result.returncode == 0
    test, train = result.stdout.strip().split("\n\n/")[0], result.stdout.strip().split("\n\n/")[1]
    assert "1 file, 5 records" in test
    assert "split: test" in test
    assert "target" not in test
    lines = [line.split() for line in train.splitlines()]
    assert "train00-8.tfrec ... train02-8.tfrec" in train
    assert "3 files, 24 records" in train
    assert "split: train" in train
    assert ["target", "int64", "[]", "0..1,", "2", "distinct"] in lines
    assert ["image_name", "bytes", "[]", "'ISIC_0000000',", "8", "distinct"] in lines
    assert ["sex", "int64", "[]", "-1", "always"] in lines
    assert any(line[:6] == ["image", "bytes", "[]", "JPEG", "16x16", "RGB,"] for line in lines)
    assert ["0", "benign", "18", "75.0%"] in lines
    assert ["1", "malignant", "6", "25.0%"] in lines


def test_whole_shards_are_verified(shards):
    result = inspect(shards, "--verify", "--decode_images")
    assert result.returncode == 0
    last = result.stdout.strip().splitlines()[-1]
    assert last.startswith("verified: 4 files, 29 records, ")
    assert "manifest" in last


def test_every_broken_file_and_record_is_named(shards):
    first, second, third = (shards / f"train0{index}-8.tfrec" for index in range(3))
    begins = second_record(first)
    flip(first, 20, begins + 20)
    second.write_bytes(second.read_bytes()[: second_record(second)])
    third.unlink()
    (shards / "train07-1.tfrec").write_bytes(frame(b""))
    (shards / "test00-5.tfrec").write_bytes(b"")
    result = inspect(shards, "--verify")
    expected = [
        "test00-5.tfrec: .*empty",
        "train00-8.tfrec: record 0 at byte 0 .*checksum",
        f"train00-8.tfrec: record 1 at byte {begins} .*checksum",
        f"train01-8.tfrec: .*{begins} bytes.*manifest.*{manifest_bytes(shards, second.name)}",
        "train01-8.tfrec: .*1 of the 8 records.*manifest",
        "train02-8.tfrec: .*missing",
        "train07-1.tfrec: .*manifest",
    ]
    for line, pattern in zip(sorted(broken(result)), expected, strict=True):
        assert re.match(pattern, line), line
    assert "5 files" in result.stderr
    assert "7 problems" in result.stderr


def manifest_bytes(folder, name: str) -> int:
    return next(shard.bytes for shard in read_manifest(folder).shards if shard.file == name)


def test_without_verify_damage_is_told_in_one_line(shards):
    flip(shards / "train00-8.tfrec", 20)
    flip(shards / "train01-8.tfrec", 20)
    result = inspect(shards)
    assert result.returncode == 0
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("DAMAGED: ")]
    assert re.search(r"train00-8.tfrec: record 0 at byte 0 .*\(and 1 more problem\).*--verify", line)


def test_one_shard_alone_is_compared_with_the_manifest_beside_it(shards):
    path = shards / "train00-8.tfrec"
    assert inspect(path, "--verify").returncode == 0
    path.write_bytes(b"".join(reversed([frame(each) for each in records_of(path)])))
    (line,) = broken(inspect(path, "--verify"))
    assert re.match("train00-8.tfrec: .*checksum", line)


def records_of(path) -> list[bytes]:
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def test_the_count_in_the_name_finds_a_cut_where_there_is_no_manifest(shards):
    (shards / "manifest.json").unlink()
    assert inspect(shards, "--verify").returncode == 0
    path = shards / "train01-8.tfrec"
    path.write_bytes(path.read_bytes()[: second_record(path)])
    (line,) = broken(inspect(shards, "--verify"))
    assert re.match("train01-8.tfrec: .*1 of the 8 records.*name", line)


def test_where_nothing_tells_the_count_that_is_said(shards, tmp_path):
    alone = tmp_path / "alone.tfrecord"
    alone.write_bytes((shards / "train00-8.tfrec").read_bytes())
    result = inspect(alone, "--verify")
    assert result.returncode == 0
    assert "alone.tfrecord: neither a manifest nor a count in the name" in result.stdout


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [("{", 1, "manifest.json: "), ('{"files": []}', 0, "another program")],
    ids=["damaged", "foreign"],
)
def test_other_manifests(shards, text, code, says):
    (shards / "manifest.json").write_text(text)
    result = inspect(shards, "--verify")
    assert result.returncode == code
    assert says in result.stdout + result.stderr


def test_an_image_that_does_not_decode_is_named_by_its_record(tmp_path):
    path = tmp_path / "train00-2.tfrec"
    image = encode_jpeg(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8), 95)
    items = [example.serialize(example.Example(image=data, image_name="a", target=0)) for data in (image, image[:900])]
    path.write_bytes(b"".join(map(frame, items)))
    assert inspect(path, "--verify").returncode == 0
    (line,) = broken(inspect(path, "--verify", "--decode_images"))
    assert line.startswith(f"train00-2.tfrec: record 1 at byte {len(items[0]) + 16} feature image ")


def test_the_contact_sheet_shows_as_many_images_of_every_class(shards, tmp_path):
    result = inspect(shards / "train00-8.tfrec", f"--contact_sheet={tmp_path}/new/sheet.png", "--images=4")
    assert result.returncode == 0
    assert "contact sheet: 4 images of feature image in " in result.stdout
    pixels = np.asarray(Image.open(tmp_path / "new" / "sheet.png")).astype(int)
    shades = [pixels[16 + 30 + TILE // 2, 16 + column * (TILE + 8) + TILE // 2] for column in range(4)]
    np.testing.assert_allclose(shades, [[SHADES[0]] * 3] * 2 + [[SHADES[1]] * 3] * 2, atol=2)


def test_a_tile_keeps_its_shape_and_small_images_their_pixels(tmp_path):
    small = np.random.default_rng(0).integers(0, 200, (32, 32, 3), np.uint8)
    wide = np.full((100, 400, 3), 7, np.uint8)
    write_contact_sheet(
        tmp_path / "sheet.png", [Section("title", (Tile(small, "a"), Tile(wide, "b"), Tile(None, "c")))]
    )
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    first, second, third = (sheet[46 : 46 + TILE, 16 + n * 136 : 16 + n * 136 + TILE] for n in range(3))
    np.testing.assert_array_equal(first[::4, ::4], small)
    assert (second[48:80] == 7).all()
    assert (second[:48] == 255).all()
    assert third[0, 0].tolist() == [0xF4, 0xD6, 0xD6]


BOX = (0.25, 0.5, 0.75, 1.0)


def write_marked(folder, items: Iterable[dict], **origins: LesionsOrigin) -> None:
    """Writes a shard of one record for each of some images' boxes or masks, and a manifest that tells of them."""
    image = encode_jpeg(np.full((16, 16, 3), 128, np.uint8), 95)
    examples = (example.Example(image=image, image_name="", target=0, **own) for own in items)
    manifest = Manifest(
        source="test",
        source_fingerprint="",
        folds_fingerprint="",
        classes=("benign",),
        image_size=16,
        encoder={},
        shards=(write_examples(folder, "train", 0, examples, 1),),
        **origins,
    )
    write_manifest(folder, manifest)


def write_boxed(folder, *boxes: tuple) -> None:
    write_marked(folder, ({"boxes": own} for own in boxes), boxes=LesionsOrigin(origin="boxes.csv"))


def test_boxes_are_described_verified_and_drawn(tmp_path):
    write_boxed(tmp_path, (BOX, BOX), (BOX,), ())
    result = inspect(tmp_path, "--verify", f"--contact_sheet={tmp_path}/sheet.png")
    assert result.returncode == 0, result.stdout
    assert ["boxes", "float", "[4..8]", "2", "0.25..1"] in [line.split() for line in result.stdout.splitlines()]
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    first, third = (sheet[46 : 46 + TILE, 16 + n * 136 : 16 + n * 136 + TILE] for n in (0, 2))
    blue = (first == (0x00, 0x50, 0xFF)).all(axis=2)
    rows, columns = np.flatnonzero(blue.any(axis=1)), np.flatnonzero(blue.any(axis=0))
    assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (32, 64, 96, 128)
    assert not blue[65:127, 33:95].any()
    assert len(np.unique(third)) == 1


def write_masked(folder, *masks: bytes) -> None:
    write_marked(folder, ({"mask": mask} for mask in masks), masks=LesionsOrigin(origin="auto"))


def square(side: int = 16) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[4:8, 8:14] = True
    return mask


def test_masks_are_described_verified_and_drawn_as_outlines(tmp_path):
    write_masked(tmp_path, encode_mask(square()), b"")
    result = inspect(tmp_path, "--verify", f"--contact_sheet={tmp_path}/sheet.png")
    assert result.returncode == 0, result.stdout
    assert ["mask", "bytes", "[]", "1", "PNG", "16x16", "1,"] in [
        line.split()[:7] for line in result.stdout.split("\n")
    ]
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    first, second = (sheet[46 : 46 + TILE, 16 + n * 136 : 16 + n * 136 + TILE] for n in range(2))
    green = (first == (0x00, 0xC0, 0x40)).all(axis=2)
    rows, columns = np.flatnonzero(green.any(axis=1)), np.flatnonzero(green.any(axis=0))
    assert (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) == (64, 32, 112, 64)
    assert not green[33:63, 65:111].any()
    assert (first[31, 64:112] == 255).all()
    assert len(np.unique(second)) == 1


def test_masks_that_are_none_are_named_by_their_record(tmp_path):
    sound = encode_mask(square())
    write_masked(tmp_path, sound, encode_mask(square(8)), encode_mask(np.zeros((16, 16), bool)), sound[:50])
    found = broken(inspect(tmp_path, "--verify"))
    assert len(found) == 3
    for number, (problem, reason) in enumerate(zip(found, ("8 x 8", "no lesion", "decode"), strict=True), start=1):
        assert f"record {number} at byte" in problem
        assert "feature mask" in problem
        assert reason in problem
    assert inspect(tmp_path, f"--contact_sheet={tmp_path}/sheet.png").returncode == 0


def test_boxes_out_of_range_are_named_by_their_record(tmp_path):
    write_boxed(tmp_path, (BOX,), ((0.5, 0.0, 0.25, 1.0),), ((0.0, 0.0, 1.0, 2.0),))
    first, second = broken(inspect(tmp_path, "--verify"))
    assert "record 1 at byte" in first
    assert "feature boxes" in first
    assert "(0.5, 0, 0.25, 1)" in first
    assert "record 2 at byte" in second
    (tmp_path / "manifest.json").unlink()  # the feature of others may mean anything
    assert inspect(tmp_path, "--verify").returncode == 0


def test_files_of_others_are_described_and_drawn(real_data, tmp_path):
    result = inspect(real_data / "tfrecords", "--verify", f"--contact_sheet={tmp_path}/sheet.png")
    assert result.returncode == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["image_floats", "float", "[784]", "-0.5..0.5"] in lines
    assert any(line[:6] == ["image", "bytes", "[]", "PNG", "32x32", "RGB,"] for line in lines)
    assert "verified: 3 files, 1,228 records" in result.stdout
    assert "contact sheet: 64 images of feature image, image_floats" in result.stdout
    assert Image.open(tmp_path / "sheet.png").width == 2 * 16 + 6 * (TILE + 8) - 8


def test_features_that_some_records_lack_and_shapes_that_vary(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "x.tfrecord.gz"), options="GZIP") as writer:
        for number in range(3):
            message = tf.train.Example()
            message.features.feature["boxes"].float_list.value.extend([0.5] * (number + 1))
            if number:
                message.features.feature["label"].bytes_list.value.append(b"cat")
            writer.write(message.SerializeToString())
    result = inspect(tmp_path, "--verify")
    assert result.returncode == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["boxes", "float", "[1..3]", "3", "0.5"] in lines
    assert ["label", "bytes", "[]", "2", "'cat'", "always"] in lines
    assert ["cat", "2", "100.0%"] in lines


def test_records_of_other_kinds_are_told(tmp_path):
    sequence = tf.train.SequenceExample()
    sequence.feature_lists.feature_list["frames"].feature.add().float_list.value.append(0.5)
    (tmp_path / "x.tfrecord").write_bytes(frame(sequence.SerializeToString()) + frame(b"plain text"))
    result = inspect(tmp_path)
    assert result.returncode == 0
    assert "1 record of tf.train.SequenceExample" in result.stdout
    assert "1 record of no known kind" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 1, "error: no path"),
        (("{folder}",), 1, "error: {folder}: "),
        (("{folder}/none.tfrec",), 1, "error: {folder}/none.tfrec: "),
        (("{folder}", "--images=0"), 1, "error: images is 0; "),
        (("{folder}", "--decode_images"), 1, "error: decode_images is True; "),
        (("{folder}", "--sauce=1"), 2, "sauce"),
    ],
)
def test_wrong_arguments_end_in_one_line(tmp_path, arguments, code, says):
    (tmp_path / "notes.txt").write_text("x")
    result = inspect(*(argument.format(folder=tmp_path) for argument in arguments))
    assert result.returncode == code
    assert says.format(folder=tmp_path) in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_contact_sheet_needs_an_image(tmp_path):
    message = tf.train.Example()
    message.features.feature["label"].int64_list.value.append(1)
    (tmp_path / "x.tfrec").write_bytes(frame(message.SerializeToString()))
    result = inspect(tmp_path, f"--contact_sheet={tmp_path}/sheet.png")
    assert result.returncode == 1
    assert "--image_feature" in result.stderr


def test_tensorflow_is_not_imported():
    code = "import sys, pipelines.inspect_shards; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (2049, "2.0 KB"), (23_400, "23 KB"), (999_600, "1.0 MB"), (1.2e9, "1.2 GB")],
)
def test_sizes_in_words(size, text):
    assert format_bytes(size) == text


@pytest.mark.parametrize(
    ("records", "shown", "values"),
    [
        ([[1], [2]], "[]", "1..2, 2 distinct"),
        ([[1, 2], [3, 4]], "[2]", "1..4, 4 distinct"),
        ([[1], []], "[0..1]", "1 always"),
        ([[1_000_000_007]], "[]", "1000000007"),
        ([[0.5, float("nan")]], "[2]", "0.5, 1 not finite"),
        ([[bytes(range(256))]], "[]", "binary, 256 bytes"),
        ([["Zürich".encode()]], "[]", "'Zürich'"),
        ([[b""]], "[]", "empty"),
    ],
)
def test_shapes_and_values_in_words(records, shown, values):
    stats = FeatureStats()
    for each in records:
        stats.add(each)
    assert (shape(stats), describe_values(stats)) == (shown, values)


def test_of_a_folder_only_tfrecord_files_are_read(tmp_path):
    names = ["a.tfrec", "b.tfrecords", "c.tfrecord-00000-of-00001", "d-00000-of-00001", "e.tfrecord.gz"]
    others = [".a.tfrec", "x.tfrecord.idx", "model.data-00000-of-00001", "d-00000-of-00001.parquet", "notes.txt"]
    for name in names + others:
        (tmp_path / name).write_bytes(frame(b""))
    result = inspect(tmp_path, "--verify")
    assert result.returncode == 0
    assert "verified: 5 files, 5 records, 80 bytes" in result.stdout


def test_what_files_of_others_hold_commands_no_terminal(tmp_path):
    """Names of features and classes are whatever their writer chose; the sheet shows them in one line, too."""
    image = encode_jpeg(np.zeros((16, 16, 3), np.uint8), 95)
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
        "label": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"red\x1b[31m\nBROKEN forged"])),
        "\x1b[2J": tf.train.Feature(int64_list=tf.train.Int64List(value=[1])),
    }
    record = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    (tmp_path / "train.tfrecord").write_bytes(frame(record))
    result = inspect(tmp_path / "train.tfrecord", f"--contact_sheet={tmp_path}/sheet.png")
    assert result.returncode == 0, result.stderr
    assert "\x1b" not in result.stdout
    assert r"red\x1b[31m\nBROKEN forged" in result.stdout
    assert r"\x1b[2J" in result.stdout
    assert (tmp_path / "sheet.png").is_file()
