"""--resume_from: weights go over by name, other networks and leaks are refused, and ancestors are written down."""

import json
import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.trainer import GanTrainer
from melgan.training.distribution import make_strategy
from pipelines.artefacts.generator_run import load_generator
from pipelines.artefacts.metrics_file import read_metrics
from pipelines.artefacts.seen import refuse_leaks, refuse_seen
from pipelines.artefacts.shards import Shards, open_shards
from pipelines.contract.workdir import Workdir, digest
from pipelines.report import Run, gan_section, synthetic_section
from pipelines.training import transfer as resuming
from tests.pipelines.conftest import GAN, jpeg, only_error, picture, succeed
from tfrecords_tools.foundation.errors import CommandError, ConfigError
from tfrecords_tools.foundation.locking import FolderLock
from tfrecords_tools.manifest import Manifest, ShardEntry, read_manifest

CLASSES = ("benign", "malignant", "nevus")
TRANSFERRED = {**GAN, "num_folds": 0, "total_steps": 2, "checkpoint_every": 2, "log_every": 1}


def shards_of(fingerprint: str, source: str = "", **provenance) -> Shards:
    """A set of four shards, of which only the manifest is there."""
    first = ShardEntry(
        file="train00-9.tfrec", split="train", index=0, records=9, class_counts=(5, 4), bytes=1, crc32c=""
    )
    entries = tuple(replace(first, file=f"train{index:02d}-9.tfrec", index=index) for index in range(4))
    manifest = Manifest(
        source="x",
        source_fingerprint=source or f"source of {fingerprint}",
        folds_fingerprint=fingerprint,
        classes=("a", "b"),
        image_size=32,
        encoder={},
        shards=entries,
        provenance=provenance,
    )
    return Shards(Path("/data") / fingerprint, manifest)


def trained_on(shards: Shards, *indices: int) -> dict:
    manifest = shards.manifest
    return {
        "folds_fingerprint": manifest.folds_fingerprint,
        "source_fingerprint": manifest.source_fingerprint,
        "indices": list(indices),
        "shards": [manifest.shards[index].file for index in indices],
    }


SHARDS = shards_of("one")
HELD_OUT = SHARDS.manifest.shards[2:]


def synthetic(*ancestors: dict) -> Shards:
    return shards_of("", trained_on=trained_on(SHARDS, 0, 1), ancestors=list(ancestors))


def test_what_an_earlier_generator_saw_of_the_same_folds_is_refused_by_name():
    refuse_leaks(synthetic(trained_on(SHARDS, 0), trained_on(SHARDS, 1)), SHARDS, HELD_OUT)
    with pytest.raises(CommandError, match="started from the weights of another, which was trained on train03-9"):
        refuse_leaks(synthetic(trained_on(SHARDS, 0), trained_on(SHARDS, 1, 3)), SHARDS, HELD_OUT)


def test_what_an_earlier_generator_saw_of_the_same_images_in_other_folds_is_refused():
    other_folds = shards_of("two", SHARDS.manifest.source_fingerprint)
    with pytest.raises(CommandError, match="was trained on the images of /data/one in other folds"):
        refuse_leaks(synthetic(trained_on(other_folds, 0)), SHARDS, HELD_OUT)


def test_what_an_earlier_generator_saw_of_other_images_is_warned_about(caplog):
    refuse_leaks(synthetic(trained_on(shards_of("two"), 2, 3)), SHARDS, HELD_OUT)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "was trained on other images than those of /data/one" in warning


def test_a_generator_of_other_folds_is_refused_whatever_its_ancestors():
    with pytest.raises(CommandError, match="trained on shards of other folds"):
        refuse_leaks(synthetic(trained_on(SHARDS, 0)), shards_of("two"), HELD_OUT)


def test_with_nothing_held_out_nothing_is_refused(caplog):
    refuse_seen([trained_on(SHARDS, 0, 1, 2, 3), trained_on(shards_of("two"), 0)], SHARDS, (), "it")
    assert caplog.records == []


def test_ancestors_are_listed_nearest_first():
    grandparent, parent = trained_on(SHARDS, 0), trained_on(SHARDS, 1)
    assert resuming.ancestors({"trained_on": parent}) == [parent]  # a run from before there were ancestors
    assert resuming.ancestors({"trained_on": parent, "ancestors": [grandparent]}) == [parent, grandparent]


def test_the_report_tells_what_earlier_generators_saw(tmp_path):
    report = {
        "steps": 2,
        "classes": ["a"],
        "class_counts": [3],
        "trained_on": trained_on(SHARDS, 0),
        "ancestors": [trained_on(SHARDS, 3, 1), trained_on(shards_of("two"), 0, 1), trained_on(SHARDS, 1)],
    }
    provenance = {"seed": 0, "generator": "f" * 64, "method": "bagan_gp"}
    report["provenance"] = provenance | {name: report[name] for name in ("trained_on", "ancestors")}
    run = Run(tmp_path, {"method": "bagan_gp", "image_size": 32, "width": 1.0, "global_batch_size": 8}, report)
    for section in (gan_section(run), synthetic_section(run)):
        assert "a generator that saw shards 1, 3 of the same folds and 2 shards of other folds (two);" in section.text


@pytest.fixture(scope="session")
def three_classes(line, run_stage) -> Path:
    """Shards of three classes, one of which the source run does not know."""
    for number in range(30):
        path = line.pictures / CLASSES[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(picture(number)))
    settings = {"source": "image_folder", "image_size": 32, "num_shards": 2, "workers": 1}
    succeed(run_stage("make_shards", input=line.pictures, output=line.three_classes, **settings))
    return line.three_classes


@pytest.fixture(scope="session")
def transferred(line, gan, three_classes, run_stage) -> Path:
    result = run_stage("train_gan", shards=three_classes, workdir=line.transferred, resume_from=gan, **TRANSFERRED)
    succeed(result)
    (line.transferred.parent / "transferred.log").write_text(result.stderr)
    return line.transferred


@pytest.fixture
def workdir(tmp_path) -> Workdir:
    return Workdir(tmp_path, time.time(), FolderLock(tmp_path))


def trainer_of(gan: Path, num_classes: int = 3) -> GanTrainer:
    config = replace(load_generator(str(gan), "gan").config, seed=9)
    return GanTrainer(config, (10,) * num_classes, make_strategy("one_device"))


def embeddings(network) -> np.ndarray:
    (rows,) = [weight for weight in network.weights if weight.path.endswith("embeddings")]
    return rows.numpy()


@pytest.mark.slow
def test_weights_are_those_of_the_last_checkpoint_by_name_of_the_class(gan, workdir):
    source, target = trainer_of(gan, 2), trainer_of(gan)
    newest = tf.train.latest_checkpoint(str(gan / "checkpoints" / "gan"))
    tf.train.Checkpoint(**source.checkpointed).read(newest).expect_partial()
    resuming.take_over(str(gan), target, ("nevus", "malignant", "benign"), workdir)
    pairs = [(source.ema_generator, target.generator), (source.discriminator.head, target.discriminator.head)]
    for old, new in [*pairs, (source.discriminator.trunk, target.discriminator.trunk)]:
        for before, after in zip(old.weights, new.weights, strict=True):
            if "embedding" not in before.path:
                np.testing.assert_array_equal(before, after)
    for old, new in pairs:
        benign, malignant = embeddings(old)
        np.testing.assert_array_equal(embeddings(new)[1:], [malignant, benign])
        np.testing.assert_allclose(embeddings(new)[0], (benign + malignant) / 2, rtol=1e-6, atol=1e-9)
    provenance = resuming.read_provenance(workdir.path)
    assert provenance["resumed_from"] == {"path": str(gan), "digest": digest(gan), "discriminator": True}


@pytest.mark.slow
def test_a_run_without_checkpoints_gives_its_generator_and_says_so(gan, workdir, tmp_path, caplog):
    copy = shutil.copytree(gan, tmp_path / "copy", ignore=shutil.ignore_patterns("checkpoints"))
    trainer = trainer_of(gan)
    before = trainer.discriminator.head.get_weights()
    resuming.take_over(str(copy), trainer, CLASSES, workdir)
    for weight, same in zip(trainer.discriminator.head.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)
    given = load_generator(str(gan), "gan").network.get_layer("dense").get_weights()[0]
    np.testing.assert_array_equal(trainer.generator.get_layer("dense").get_weights()[0], given)
    assert "the discriminator starts from random weights" in caplog.text
    assert not resuming.read_provenance(workdir.path)["resumed_from"]["discriminator"]


@pytest.mark.slow
def test_sources_that_do_not_fit_are_refused(gan, shards, three_classes, tmp_path):
    config, opened = load_generator(str(gan), "gan").config, open_shards(str(three_classes), "shards")
    resuming.check_source(config, str(gan), opened, ())
    with pytest.raises(ConfigError, match=r"\(image_size was 32, now 64; latent_dim was 128, now 64\)"):
        resuming.check_source(replace(config, image_size=64, latent_dim=64), str(gan), opened, ())
    with pytest.raises(CommandError, match="^--resume_from=.*: made by make_shards, not by train_gan"):
        resuming.check_source(config, str(shards), opened, ())
    with pytest.raises(CommandError, match="^--resume_from=gs://b/gan: lies in a bucket; copy the run"):
        resuming.check_source(config, "gs://b/gan", opened, ())
    unfinished = shutil.copytree(gan, tmp_path / "unfinished", ignore=shutil.ignore_patterns("COMPLETED"))
    with pytest.raises(CommandError, match="not complete"):
        resuming.check_source(config, str(unfinished), opened, ())


@pytest.mark.slow
def test_a_source_that_saw_the_fold_is_refused_before_anything_is_written(gan, shards, run_stage, tmp_path):
    settings = {**GAN, "fold": 1, "shards": shards, "workdir": tmp_path / "out", "resume_from": gan}
    error = only_error(run_stage("train_gan", **settings))
    seen = [shard.file for shard in read_manifest(shards).split("train") if shard.index in (1, 3, 5)]
    assert error.startswith(f"error: --resume_from={gan}: this run was trained on {', '.join(seen)}, which this fold")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_transferred_run_trains_no_autoencoder_and_tells_its_origin(gan, transferred, shards, three_classes):
    lines = read_metrics(transferred)
    assert [(line["series"], line["step"]) for line in lines if line["series"] != "diversity"] == [
        ("gan", 1),
        ("gan", 2),
    ]
    assert [set(line) for line in lines if line["series"] == "diversity"] == [
        {"series", "step", *(f"diversity_{name}" for name in CLASSES)}
    ]
    log = (transferred.parent / "transferred.log").read_text()
    assert "no autoencoder is trained" in log
    assert "has no class nevus: each starts from the mean of its classes" in log
    report, source = (json.loads((folder / "report.json").read_text()) for folder in (transferred, gan))
    assert report["resumed_from"]["digest"] == digest(gan)
    assert report["classes"] == list(CLASSES)
    assert report["ancestors"] == [source["trained_on"]]
    assert report["trained_on"]["folds_fingerprint"] == read_manifest(three_classes).folds_fingerprint
    assert source["trained_on"]["source_fingerprint"] == read_manifest(shards).source_fingerprint


@pytest.mark.slow
def test_a_run_that_has_begun_needs_its_source_no_more(gan, transferred, three_classes, run_stage, tmp_path):
    """Killed at its last step, before the report: the checkpoint is there, the source is gone."""
    begun = shutil.copytree(transferred, tmp_path / "begun", ignore=shutil.ignore_patterns("COMPLETED", "report.json"))
    settings = json.loads((begun / "config.json").read_text())
    (begun / "config.json").write_text(
        json.dumps(settings | {"resume_from": str(tmp_path / "gone"), "workdir": str(begun)})
    )
    options = {"shards": three_classes, "workdir": begun, "resume_from": tmp_path / "gone"}
    succeed(run_stage("train_gan", **options, **TRANSFERRED))
    reports = [json.loads((folder / "report.json").read_text()) for folder in (transferred, begun)]
    assert reports[0]["ancestors"] == reports[1]["ancestors"]
    assert reports[0]["generator_sha256"] == reports[1]["generator_sha256"]


@pytest.mark.slow
def test_synthetic_images_carry_the_ancestors(transferred, gan, run_stage, tmp_path):
    succeed(run_stage("synthesize", gan=transferred, output=tmp_path / "out", label="nevus", count=2))
    manifest = read_manifest(tmp_path / "out")
    assert manifest.provenance["ancestors"] == json.loads((transferred / "report.json").read_text())["ancestors"]
