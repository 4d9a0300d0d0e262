"""adopt_synthetic: images of other generators as synthetic shards, and all that synthetic shards go through."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from melgan.sampling import first_requests
from pipelines import adopt_synthetic, evaluate_gan, export, synthesize
from pipelines.artefacts.adopted_run import AdoptSyntheticConfig
from pipelines.artefacts.evaluation import EvaluateGanConfig, EvaluationReport, value_of
from pipelines.artefacts.mixing import require_stored_alike
from pipelines.artefacts.seen import without_leaks
from pipelines.artefacts.shards import open_shards, open_synthetic, split_fold
from pipelines.artefacts.study import StudyConfig
from pipelines.artefacts.synthetic_run import SynthesizeConfig
from pipelines.contract.workdir import read_report
from pipelines.export import ExportConfig
from pipelines.synthesis.adopted_sampler import StoredSampler
from tests.pipelines.conftest import jpeg, picture, records_of
from tfrecords_tools.foundation.errors import CommandError, ConfigError, DataError
from tfrecords_tools.foundation.files import read_text
from tfrecords_tools.manifest import read_manifest

pytestmark = pytest.mark.slow

NUM_FOLDS, FOLD = 2, 0


@pytest.fixture
def images(tmp_path) -> Path:
    """Ten images of two classes, of other sizes and formats than real ones, one of which cannot be read."""
    folder = tmp_path / "stylegan"
    for number in range(10):
        path = folder / ("malignant" if number % 2 else "benign") / f"seed{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number, 40 + number).save(path)
    picture(9, 32).save(folder / "malignant" / "stored.jpg", quality=50)  # of the right size, which passes as it is
    (folder / "benign" / "broken.png").write_bytes(b"no picture")
    return folder


def adopted(images: Path, shards: Path, output: Path, **settings: object) -> Path:
    given = {"generator": "stylegan3", "seen": "training", "num_folds": NUM_FOLDS, "fold": FOLD, "shard_size": 4}
    config = AdoptSyntheticConfig(images=str(images), shards=str(shards), output=str(output), **{**given, **settings})
    adopt_synthetic.run(config)
    return output


def rows_of(path: Path) -> list[dict]:
    return list(csv.DictReader(read_text(path).splitlines()))


def test_images_become_synthetic_shards_that_are_stored_as_the_real_ones(images, shards, tmp_path):
    folder = adopted(images, shards, tmp_path / "out")
    real, synthetic = open_shards(str(shards), "shards"), open_synthetic(str(folder), "synthetic")
    assert dict(zip(synthetic.classes, synthetic.manifest.class_counts("synthetic"), strict=True)) == {
        "benign": 5,
        "malignant": 6,
    }
    require_stored_alike(real, [synthetic], 0)  # raises if a classifier could tell them
    (broken,) = rows_of(folder / "rejected.csv")
    assert broken["file"] == str(images / "benign" / "broken.png")
    file_of = {row["image_name"]: row["file"] for row in rows_of(folder / "images.csv")}
    for record in records_of(folder, "synthetic"):
        name = record["image_name"][0].decode()
        assert file_of[name].split("/")[0] == synthetic.classes[record["target"][0]]
        assert record["method"] == [b"stylegan3"]
        assert not name.endswith("broken")
    provenance = synthetic.manifest.provenance
    training, held_out = split_fold(real.manifest, NUM_FOLDS, FOLD)
    assert provenance.trained_on == real.used(training)
    assert provenance.seen_is == "declared"
    assert without_leaks(synthetic, real, held_out) is synthetic
    with pytest.raises(CommandError, match=training[0].file):
        without_leaks(synthetic, real, training)


def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(images, shards, tmp_path, monkeypatch):
    whole = adopted(images, shards, tmp_path / "whole")

    def fail(*arguments) -> None:
        raise OSError("the disk is away")

    with monkeypatch.context() as patch:
        patch.setattr(adopt_synthetic, "write_rejected", fail)
        with pytest.raises(OSError, match="away"):
            adopted(images, shards, tmp_path / "stopped")
    stopped = adopted(images, shards, tmp_path / "stopped")
    names = sorted(
        path.name for path in whole.iterdir() if path.name not in ("config.json", "report.json", "COMPLETED")
    )
    assert names == sorted(name for name in (path.name for path in stopped.iterdir()) if name in names)
    assert all((whole / name).read_bytes() == (stopped / name).read_bytes() for name in names)


def test_other_images_at_the_same_path_are_another_run(images, shards, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(adopt_synthetic, "write_adopted", lambda *arguments, **settings: (_ for _ in ()).throw(OSError()))
        with pytest.raises(OSError):  # noqa: PT011
            adopted(images, shards, tmp_path / "out")
    (tmp_path / "out" / "synthetic00.tfrec").write_bytes(b"begun")
    picture(77).save(images / "benign" / "seed0000.png")
    with pytest.raises(CommandError, match="--images .* holds something else"):
        adopted(images, shards, tmp_path / "out")


def test_a_complete_folder_notices_that_its_images_have_changed(images, shards, tmp_path):
    adopted(images, shards, tmp_path / "out")
    adopted(images, shards, tmp_path / "out")  # complete already
    picture(77).save(images / "benign" / "seed0000.png")
    with pytest.raises(CommandError, match="other images"):
        adopted(images, shards, tmp_path / "out")
    images.rename(tmp_path / "elsewhere")
    adopted(images, shards, tmp_path / "out")  # what is away has done its work


def test_an_image_that_is_damaged_in_a_zip_file_is_left_out(images, shards, tmp_path):
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", images))
    data = bytearray(packed.read_bytes())
    data[data.index(b"seed0001.png") + 200] ^= 0xFF
    packed.write_bytes(data)
    folder = adopted(packed, shards, tmp_path / "out")
    assert read_manifest(folder).class_counts("synthetic") == (5, 5)
    assert [Path(row["file"]).name for row in rows_of(folder / "rejected.csv")] == ["broken.png", "seed0001.png"]


def test_a_label_makes_a_flat_folder_of_one_class_or_takes_one_of_several(images, shards, tmp_path):
    flat = adopted(images / "malignant", shards, tmp_path / "flat", label="benign")
    assert read_manifest(flat).class_counts("synthetic") == (6, 0)
    one = adopted(images, shards, tmp_path / "one", label="malignant")
    assert read_manifest(one).class_counts("synthetic") == (0, 6)


@pytest.mark.parametrize("seen", ["others", "unknown"])
def test_what_others_and_unknown_mean(images, shards, tmp_path, seen):
    synthetic = open_synthetic(str(adopted(images, shards, tmp_path / "out", seen=seen)), "synthetic")
    real = open_shards(str(shards), "shards")
    every = real.manifest.split("train")
    if seen == "others":
        assert without_leaks(synthetic, real, every) is synthetic
        return
    with pytest.raises(CommandError, match="--trust_unknown_generators"):
        without_leaks(synthetic, real, every[:1])
    assert without_leaks(synthetic, real, every, trust_unknown=True) is synthetic
    settings = {"shards": str(shards), "workdir": str(tmp_path / "study"), "methods": ("adopted",)}
    with pytest.raises(ConfigError, match="--trust_unknown_generators"):
        StudyConfig(**settings, adopted_settings=(f"images={images}", "generator=stylegan3", "seen=unknown"))
    config = SynthesizeConfig(
        gan=str(synthetic.folder), output=str(tmp_path / "drawn"), label="malignant", count=2, reject_copies=True
    )
    with pytest.raises(CommandError, match="may have been, trained on all"):
        synthesize.run(config)
    synthesize.run(SynthesizeConfig(gan=str(synthetic.folder), output=str(tmp_path / "all"), label="malignant"))
    assert read_manifest(tmp_path / "all").provenance.seen_is == "unknown"  # it is not lost on the way


def test_copies_of_training_images_are_left_out_and_all_others_drawn(shards, tmp_path):
    real = open_shards(str(shards), "shards")
    training, _ = split_fold(real.manifest, NUM_FOLDS, FOLD)
    folder = tmp_path / "images" / "malignant"
    folder.mkdir(parents=True)
    for number in range(6):
        (folder / f"new{number}.jpg").write_bytes(jpeg(picture(number, 32)))
    stored = {row["image_name"][0].decode(): row for row in records_of(shards, "train")}
    for name in real.image_names(training)[:4]:
        (folder / f"copy_{name}.jpg").write_bytes(stored[name]["image"][0])
    gan = adopted(tmp_path / "images", shards, tmp_path / "gan")
    output = tmp_path / "drawn"
    synthesize.run(SynthesizeConfig(gan=str(gan), output=str(output), label="malignant", reject_copies=True))
    manifest = read_manifest(output)
    assert manifest.class_counts("synthetic") == (0, 6)
    assert manifest.provenance.rejected_copies == 4
    assert manifest.provenance.method == "stylegan3"
    with pytest.raises(CommandError, match="4 of the 10 images of malignant"):
        synthesize.run(
            SynthesizeConfig(
                gan=str(gan), output=str(tmp_path / "more"), label="malignant", count=8, reject_copies=True
            )
        )


@pytest.mark.parametrize("seen", ["training", "others"])
def test_adopted_images_are_evaluated_as_those_of_our_generators(images, shards, tmp_path, seen):
    synthetic = adopted(images, shards, tmp_path / "synthetic", seen=seen)
    settings = {"features": "pixels", "metrics": ("kid",), "shards": str(shards)}
    evaluate_gan.run(EvaluateGanConfig(synthetic=str(synthetic), output=str(tmp_path / "of_set"), **settings))
    evaluate_gan.run(EvaluateGanConfig(gan=str(synthetic), output=str(tmp_path / "of_gan"), **settings))
    of_set, of_gan = (read_report(tmp_path / name, EvaluationReport) for name in ("of_set", "of_gan"))
    assert of_set.generator == of_gan.generator == read_manifest(synthetic).provenance.generator
    assert value_of(of_set.synthetic, "kid", "malignant") > 0
    held_out = open_shards(str(shards), "shards").manifest.split("train")
    if seen == "training":
        held_out = split_fold(read_manifest(shards), NUM_FOLDS, FOLD)[1]
    assert of_set.held_out == tuple(entry.file for entry in held_out)


def test_the_card_of_an_export_tells_that_it_was_declared(images, shards, tmp_path):
    synthetic = adopted(images, shards, tmp_path / "synthetic", seen="unknown")
    export.run(ExportConfig(shards=str(synthetic), output=str(tmp_path / "out"), licence="cc0-1.0"))
    card = read_text(tmp_path / "out" / "README.md")
    assert "unknown" in card
    assert "trained on" not in card.split("## What it was made from")[1].split("##")[0].replace("may have", "")


def test_what_cannot_be_adopted_is_told(images, shards, tmp_path):
    for settings, told in (
        ({"label": "nevus"}, "benign, malignant"),
        ({"images": tmp_path / "nowhere"}, "nowhere"),
        ({"max_rejected": "0"}, "broken.png"),
    ):
        with pytest.raises((CommandError, DataError), match=told):
            adopted(**{"images": images, "shards": shards, "output": tmp_path / "out", **settings})
    shutil.copytree(images / "benign", images / "nevus")
    with pytest.raises(CommandError, match="nevus/.*--label"):
        adopted(images, shards, tmp_path / "out")
    with pytest.raises(ConfigError, match="generator"):
        adopted(images, shards, tmp_path / "out", generator="a/b")


def test_a_seed_mixes_stored_images_and_every_one_comes_once():
    stored = [[], [jpeg(picture(number, 8), quality=100) for number in range(5)]]
    orders = []
    for seed in (0, 1):
        sampler = StoredSampler(stored, ("a", "b"), 8, seed)
        drawn = sampler.draw(first_requests(1, 10)).images
        np.testing.assert_array_equal(drawn[:5], drawn[5:])
        assert len({image.tobytes() for image in drawn}) == 5
        assert (sampler.capacity(0), sampler.capacity(1)) == (0, 5)
        orders.append(drawn)
    assert not np.array_equal(*orders)
