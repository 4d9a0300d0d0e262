"""--init_from: weights go over by name, other networks and leaks are refused, and ancestors are written down."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.trainer import GanTrainer
from melgan.training.distribution import make_strategy
from pipelines.artefacts.generator_run import (
    GanReport,
    GanRun,
    Initialisation,
    Origin,
    TrainGanConfig,
    load_generator,
    read_gan_run,
    read_origin,
    write_origin,
)
from pipelines.artefacts.metrics_file import read_metrics
from pipelines.artefacts.shards import open_shards
from pipelines.artefacts.synthetic_run import SyntheticReport
from pipelines.contract.workdir import digest, read_report
from pipelines.pages.generator_section import generator_section
from pipelines.pages.synthetic_section import synthetic_section
from pipelines.training.transfer import require_transferable, transfer
from tests.pipelines.conftest import GAN, jpeg, only_error, picture, succeed
from tfrecords_tools.foundation.errors import CommandError, ConfigError
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.provenance import ShardsUsed, SyntheticProvenance

CLASSES = ("benign", "malignant", "nevus")
TRANSFERRED = {**GAN, "num_folds": 0, "total_steps": 2, "checkpoint_every": 2, "log_every": 1}


def used(fingerprint: str, *indices: int) -> ShardsUsed:
    files = tuple(f"train{index:02d}-9.tfrec" for index in indices)
    return ShardsUsed(folds_fingerprint=fingerprint, shards=files, indices=indices)


def report_of(trained_on: ShardsUsed, *ancestors: ShardsUsed) -> GanReport:
    return GanReport(
        generator_sha256="f" * 64,
        method="bagan_gp",
        classes=("a",),
        class_counts=(3,),
        trained_on=trained_on,
        ancestors=ancestors,
        last_metrics={},
        steps=2,
        rollbacks=0,
    )


def test_what_a_generator_comes_from_is_listed_nearest_first():
    grandparent, parent = used("one", 0), used("one", 1)
    assert report_of(parent).lineage == (parent,)  # a run from before there were ancestors
    assert report_of(parent, grandparent).lineage == (parent, grandparent)
    assert report_of(parent, grandparent).seen().ancestors == (grandparent,)


def test_the_report_tells_what_earlier_generators_saw(tmp_path):
    report = report_of(used("one", 0), used("one", 3, 1), used("two", 0, 1), used("one", 1))
    config = TrainGanConfig(shards="x", workdir=str(tmp_path))
    seen = {"trained_on": report.trained_on, "ancestors": report.ancestors}
    provenance = SyntheticProvenance(generator="f" * 64, gan="gan", method="bagan_gp", seed=0, **seen)
    drawn = SyntheticReport(classes=("a",), class_counts=(3,), rejected_copies=(0,), provenance=provenance)
    for section in (generator_section(GanRun(tmp_path, config, report)), synthetic_section(tmp_path, drawn)):
        assert re.search(r"1, 3 .*2 shards .*\(two\)", section.text)


def test_the_origin_of_a_run_is_read_as_it_was_written_and_nothing_where_it_was_not(tmp_path):
    assert read_origin(tmp_path) == Origin()
    origin = Origin(
        initialised_from=Initialisation(path="gan", digest="d", discriminator=True),
        ancestors=(used("one", 0), used("two", 1)),
    )
    write_origin(tmp_path, origin)
    assert read_origin(tmp_path) == origin
    stored = json.loads((tmp_path / "resumed_from.json").read_text())
    assert stored["resumed_from"] == {"path": "gan", "digest": "d", "discriminator": True}
    assert [ancestor["indices"] for ancestor in stored["ancestors"]] == [[0], [1]]


@pytest.fixture(scope="session")
def three_classes(line, launch) -> Path:
    """Shards of three classes, one of which the source run does not know."""
    for number in range(30):
        path = line.pictures / CLASSES[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(picture(number)))
    settings = {"source": "image_folder", "image_size": 32, "num_shards": 2, "workers": 1}
    succeed(launch("make_shards", input=line.pictures, output=line.three_classes, **settings))
    return line.three_classes


@pytest.fixture(scope="session")
def transferred(line, gan, three_classes, launch) -> Path:
    result = launch("train_gan", shards=three_classes, workdir=line.transferred, init_from=gan, **TRANSFERRED)
    succeed(result)
    (line.transferred.parent / "transferred.log").write_text(result.stderr)
    return line.transferred


def trainer_of(gan: Path, num_classes: int = 3) -> GanTrainer:
    config = replace(read_gan_run(gan).config, seed=9)
    return GanTrainer(config, (10,) * num_classes, make_strategy("one_device"))


def embeddings(network) -> np.ndarray:
    (rows,) = [weight for weight in network.weights if weight.path.endswith("embeddings")]
    return rows.numpy()


@pytest.mark.slow
def test_weights_are_those_of_the_last_checkpoint_by_name_of_the_class(gan):
    source, target = trainer_of(gan, 2), trainer_of(gan)
    newest = tf.train.latest_checkpoint(str(gan / "checkpoints" / "gan"))
    tf.train.Checkpoint(**source.checkpointed).read(newest).expect_partial()
    origin = transfer(str(gan), target, ("nevus", "malignant", "benign"))
    old_discriminator, new_discriminator = source.networks.discriminator, target.networks.discriminator
    pairs = [
        (source.average.generator, target.networks.generator),
        (old_discriminator.head, new_discriminator.head),
    ]
    for old, new in [*pairs, (old_discriminator.trunk, new_discriminator.trunk)]:
        for before, after in zip(old.weights, new.weights, strict=True):
            if "embedding" not in before.path:
                np.testing.assert_array_equal(before, after)
    for old, new in pairs:
        benign, malignant = embeddings(old)
        np.testing.assert_array_equal(embeddings(new)[1:], [malignant, benign])
        np.testing.assert_allclose(embeddings(new)[0], (benign + malignant) / 2, rtol=1e-6, atol=1e-9)
    assert origin.initialised_from == Initialisation(path=str(gan), digest=digest(gan), discriminator=True)
    assert origin.ancestors == (read_report(gan, GanReport).trained_on,)


@pytest.mark.slow
def test_a_run_without_checkpoints_gives_its_generator_and_says_so(gan, tmp_path, caplog):
    copy = shutil.copytree(gan, tmp_path / "copy", ignore=shutil.ignore_patterns("checkpoints"))
    trainer = trainer_of(gan)
    before = trainer.networks.discriminator.head.get_weights()
    origin = transfer(str(copy), trainer, CLASSES)
    for weight, same in zip(trainer.networks.discriminator.head.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, same)
    given = load_generator(str(gan), "gan").network.get_layer("dense").get_weights()[0]
    np.testing.assert_array_equal(trainer.networks.generator.get_layer("dense").get_weights()[0], given)
    assert f"{copy} has no checkpoints/gan" in caplog.text
    assert not origin.initialised_from.discriminator


@pytest.mark.slow
def test_sources_that_do_not_fit_are_refused(gan, shards, three_classes, tmp_path):
    config, opened = read_gan_run(gan).config, open_shards(str(three_classes), "shards")
    require_transferable(config, str(gan), opened, ())
    with pytest.raises(ConfigError, match="image_size was 32, now 64; latent_dim was 128, now 64"):
        require_transferable(replace(config, image_size=64, latent_dim=64), str(gan), opened, ())
    with pytest.raises(CommandError, match="^--init_from=.*: .*make_shards.*train_gan"):
        require_transferable(config, str(shards), opened, ())
    with pytest.raises(CommandError, match="^--init_from=gs://b/gan: "):
        require_transferable(config, "gs://b/gan", opened, ())
    unfinished = shutil.copytree(gan, tmp_path / "unfinished", ignore=shutil.ignore_patterns("COMPLETED"))
    with pytest.raises(CommandError, match=f"^--init_from={unfinished}: "):
        require_transferable(config, str(unfinished), opened, ())


@pytest.mark.slow
def test_a_source_that_saw_the_fold_is_refused_before_anything_is_written(gan, shards, launch, tmp_path):
    settings = {**GAN, "fold": 1, "shards": shards, "workdir": tmp_path / "out", "init_from": gan}
    error = only_error(launch("train_gan", **settings))
    seen = [shard.file for shard in read_manifest(shards).split("train") if shard.index in (1, 3, 5)]
    assert error.startswith(f"error: --init_from={gan}: ")
    assert ", ".join(seen) in error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_transferred_run_trains_no_autoencoder_and_tells_its_origin(gan, transferred, shards, three_classes):
    lines = read_metrics(transferred)
    assert [(line.series, line.step) for line in lines if line.series != "diversity"] == [("gan", 1), ("gan", 2)]
    assert [set(line.metrics) for line in lines if line.series == "diversity"] == [
        {f"diversity_{name}" for name in CLASSES}
    ]
    log = (transferred.parent / "transferred.log").read_text()
    assert str(gan) in log
    assert "class nevus" in log
    report, source = (json.loads((folder / "report.json").read_text()) for folder in (transferred, gan))
    assert report["resumed_from"]["digest"] == digest(gan)
    assert report["classes"] == list(CLASSES)
    assert report["ancestors"] == [source["trained_on"]]
    assert report["trained_on"]["folds_fingerprint"] == read_manifest(three_classes).folds_fingerprint
    assert source["trained_on"]["source_fingerprint"] == read_manifest(shards).source_fingerprint


@pytest.mark.slow
@pytest.mark.parametrize("name", ["init_from", "resume_from"])
def test_a_run_that_has_begun_needs_its_source_no_more(transferred, three_classes, launch, tmp_path, name):
    """Killed at its last step, before the report: the checkpoint is there, the source is gone.

    It may have been begun by an earlier version, which called the setting --resume_from.
    """
    begun = shutil.copytree(transferred, tmp_path / "begun", ignore=shutil.ignore_patterns("COMPLETED", "report.json"))
    settings = json.loads((begun / "config.json").read_text())
    del settings["init_from"]
    settings["inputs"]["init_from"]["path"] = str(tmp_path / "gone")
    if name == "resume_from":
        del settings["inputs"]
    (begun / "config.json").write_text(json.dumps(settings | {name: str(tmp_path / "gone"), "workdir": str(begun)}))
    options = {"shards": three_classes, "workdir": begun, name: tmp_path / "gone"}
    result = launch("train_gan", **options, **TRANSFERRED)
    succeed(result)
    assert ("--resume_from" in result.stderr) == (name == "resume_from")
    assert json.loads((begun / "config.json").read_text())["init_from"] == str(tmp_path / "gone")
    reports = [json.loads((folder / "report.json").read_text()) for folder in (transferred, begun)]
    assert reports[0]["ancestors"] == reports[1]["ancestors"]
    assert reports[0]["generator_sha256"] == reports[1]["generator_sha256"]


@pytest.mark.slow
def test_synthetic_images_carry_the_ancestors(transferred, gan, launch, tmp_path):
    succeed(launch("synthesize", gan=transferred, output=tmp_path / "out", label="nevus", count=2))
    manifest = read_manifest(tmp_path / "out")
    assert manifest.provenance.ancestors == read_report(transferred, GanReport).ancestors
    told = [json.loads((folder / "report.json").read_text()) for folder in (tmp_path / "out", transferred)]
    assert told[0]["provenance"]["ancestors"] == told[1]["ancestors"]
