"""train_translator and what is drawn with it: where images come from, leaks, resuming, bad input."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines import synthesize, train_translator
from pipelines.artefacts.seen import Certainty, sightings, without_leaks
from pipelines.artefacts.shards import open_shards, open_synthetic, split_fold
from pipelines.artefacts.synthetic_run import SynthesizeConfig
from pipelines.artefacts.translator_run import TrainTranslatorConfig, load_translator, open_translator_run
from pipelines.artefacts.twins import count_twins
from pipelines.contract.shared_settings import SamplingSettings
from pipelines.synthesis.samplers import open_sampler
from tests.pipelines.conftest import kill_and_resume, made, records_of
from tfrecords_tools.foundation.errors import CommandError, ConfigError, UserError
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.masks import boxes_of_mask, decode_mask
from tfrecords_tools.provenance import LesionsOrigin

pytestmark = pytest.mark.slow

TINY = {
    "image_size": 32,
    "width": 0.05,
    "blocks": 1,
    "global_batch_size": 2,
    "total_steps": 6,
    "checkpoint_every": 2,
    "log_every": 2,
    "steps_per_call": 2,
    "num_folds": 2,
    "fold": 0,
    "deterministic": True,
}
UNPAIRED = {"method": "fastcut", "outside_weight": 1.0}


@pytest.fixture(scope="session")
def translator(line, masked_shards, launch) -> Path:
    """Its term `outside` looks at the masks of the sources."""
    return made(line.translator, "train_translator", launch, shards=masked_shards, **UNPAIRED, **TINY)


@pytest.fixture(scope="session")
def painter(line, masked_shards, launch) -> Path:
    return made(line.painter, "train_translator", launch, shards=masked_shards, method="pix2pix", **TINY)


def config_of(shards: Path, workdir: Path, **settings) -> TrainTranslatorConfig:
    """Settings for this process, which has computed already, when it can be made deterministic no more."""
    given = {**TINY, "method": "fastcut", "deterministic": False, **settings}
    return TrainTranslatorConfig(shards=str(shards), workdir=str(workdir), **given)


def drawn(gan: Path, output: Path, **settings) -> Path:
    synthesize.run(SynthesizeConfig(gan=str(gan), output=str(output), **{"label": "malignant", "count": 8, **settings}))
    return output


def test_a_translator_has_seen_the_shards_of_its_fold_and_nothing_else(translator, masked_shards):
    run = open_translator_run(str(translator), "gan")
    manifest = read_manifest(masked_shards)
    training, held_out = split_fold(manifest, 2, 0)
    assert set(run.report.trained_on.indices) == {shard.index for shard in training}
    assert (run.report.source_classes, run.report.target_class) == (("benign",), "malignant")
    assert [path.name for path in sorted((translator / "samples").iterdir())] == [f"{n:07d}.png" for n in (2, 4, 6)]
    assert {"nce", "outside", "adversarial"} <= run.report.last_metrics.keys()
    assert held_out


def test_translated_images_name_their_source_and_carry_its_mask(translator, masked_shards, tmp_path):
    folder = drawn(translator, tmp_path / "out", shard_size=5)
    training, _ = split_fold(read_manifest(masked_shards), 2, 0)
    real = {row["image_name"][0].decode(): row for row in records_of(masked_shards, "train")}
    in_shards = {shard.index for shard in training}
    names = []
    for row in records_of(folder, "synthetic"):
        (name,) = (name.decode() for name in row["made_from"])
        assert real[name]["target"] == [0]
        assert row["target"] == [1]
        assert set(row["made_from_shards"]) <= in_shards
        assert (decode_mask(row["mask"][0]) == decode_mask(real[name]["mask"][0])).mean() == 1
        names.append(name)
    assert len(set(names)) == 8  # each source once
    manifest = read_manifest(folder)
    assert all(set(shard.made_from) <= in_shards for shard in manifest.shards)
    assert 0 <= manifest.provenance.near_source <= 1
    assert manifest.masks == LesionsOrigin(origin="generator")
    assert manifest.boxes == LesionsOrigin(origin="masks")


def test_a_fold_is_not_validated_with_images_of_its_own(translator, masked_shards, tmp_path):
    opened = open_shards(str(masked_shards), "shards")
    synthetic = open_synthetic(str(drawn(translator, tmp_path / "out")), "synthetic")
    _, held_out = split_fold(opened.manifest, 2, 0)
    assert without_leaks(synthetic, opened, held_out).manifest.shards == synthetic.manifest.shards
    _, others = split_fold(opened.manifest, 2, 1)
    with pytest.raises(CommandError, match=others[0].file):
        without_leaks(synthetic, opened, others)


def test_twins_are_sources_that_are_there_with_both_labels(translator, painter, masked_shards, tmp_path):
    """Of the images that were drawn from masks of both classes, those from benign ones."""
    opened = open_shards(str(masked_shards), "shards")
    translated, painted = (
        open_synthetic(str(drawn(gan, tmp_path / gan.name)), "synthetic") for gan in (translator, painter)
    )
    training, held_out = split_fold(opened.manifest, 2, 0)
    assert count_twins(opened, training, [translated]) == 8
    assert count_twins(opened, held_out, [translated]) == 0
    names = translated.image_names(translated.manifest.shards)
    own = {
        row["image_name"][0].decode(): row["made_from"][0].decode()
        for row in records_of(translated.folder, "synthetic")
    }
    assert count_twins(opened, training, [translated], learned={*names[:3], *own.values()}) == 3
    assert count_twins(opened, training, [translated], learned={*names, own[names[0]]}) == 1
    labels = {row["image_name"][0]: row["target"][0] for row in records_of(masked_shards, "train")}
    sources = [row["made_from"][0] for row in records_of(painted.folder, "synthetic")]
    benign = sum(labels[name] == 0 for name in set(sources))
    assert count_twins(opened, training, [painted]) == benign


def test_of_shards_of_the_same_folds_those_of_the_training_are_sources_wherever_they_lie(
    translator, masked_shards, tmp_path
):
    moved = shutil.copytree(masked_shards, tmp_path / "moved")
    one, other = (drawn(translator, tmp_path / name, sources=str(path)) for name, path in (("a", moved), ("b", "")))
    assert read_manifest(one).shards == read_manifest(other).shards
    assert read_manifest(one).provenance.made_from[0].indices == read_manifest(other).provenance.trained_on.indices


def test_sources_of_other_folds_are_told_and_refused(translator, masked_shards, shards, tmp_path):
    """The same images in other folds: which of them a fold of the classifier holds out cannot be told."""
    folder = drawn(translator, tmp_path / "out", sources=str(shards))
    provenance = read_manifest(folder).provenance
    assert provenance.made_from[0].folds_fingerprint == read_manifest(shards).folds_fingerprint
    assert set(provenance.made_from[0].indices) == {shard.index for shard in read_manifest(shards).split("train")}
    seen = provenance.seen
    kinds = [
        each.certainty
        for each in sightings(seen, read_manifest(masked_shards), split_fold(read_manifest(masked_shards), 2, 0)[1])
    ]
    assert kinds == [Certainty.UNKNOWN]  # other images


def test_another_folder_of_sources_is_another_run(translator, masked_shards, shards, tmp_path):
    """A set that was begun with images of one folder does not go on with those of another."""
    drawn(translator, tmp_path / "out")
    (tmp_path / "out" / "COMPLETED").unlink()
    (tmp_path / "out" / "report.json").unlink()
    with pytest.raises(CommandError, match="sources"):
        drawn(translator, tmp_path / "out", sources=str(shards))


def test_a_translator_has_as_many_images_as_sources(translator, masked_shards, tmp_path):
    opened = open_shards(str(masked_shards), "shards")
    training, _ = split_fold(opened.manifest, 2, 0)
    benign, malignant = opened.class_counts(training)
    with pytest.raises(CommandError, match=f"has {benign} "):
        drawn(translator, tmp_path / "out", count=benign + 1)
    with pytest.raises(CommandError, match="has 0 "):
        drawn(translator, tmp_path / "out", label="benign")
    assert malignant
    assert not (tmp_path / "out").exists()


def test_masks_are_drawn_as_any_class_and_edited(painter, masked_shards, tmp_path):
    folder = drawn(painter, tmp_path / "out", edits=("shift", "transplant"), count=6)
    real = {row["image_name"][0].decode(): row for row in records_of(masked_shards, "train")}
    moved = 0
    for row in records_of(folder, "synthetic"):
        names = [name.decode() for name in row["made_from"]]
        assert len(names) == len(row["made_from_shards"]) == 2  # whose mask, whose skin
        mask, own = decode_mask(row["mask"][0]), decode_mask(real[names[0]]["mask"][0])
        moved += (mask != own).any()
        assert mask.any()
        np.testing.assert_allclose(np.reshape(row["boxes"], (-1, 4)), boxes_of_mask(mask))
    assert moved
    assert read_manifest(folder).provenance.drawn_with == {"edits": "shift,transplant", "edit_strength": "1"}
    others = drawn(painter, tmp_path / "others", count=6)
    names = [{row["image_name"][0] for row in records_of(each, "synthetic")} for each in (folder, others)]
    assert not names[0] & names[1]  # another name for another image of the same index
    again = drawn(painter, tmp_path / "again", edits=("shift", "transplant"), count=6)
    assert read_manifest(again).shards == read_manifest(folder).shards


def test_lesions_are_drawn_in_boxes_of_real_images_or_given_ones(boxed_shards, tmp_path):
    settings = {"method": "pix2pix", "condition": "boxes", "total_steps": 2}
    train_translator.run(config_of(boxed_shards, tmp_path / "gan", **settings))
    real = {row["image_name"][0].decode(): row for row in records_of(boxed_shards, "train")}
    rows = records_of(drawn(tmp_path / "gan", tmp_path / "out", count=4, edits=("mirror",)), "synthetic")
    for row in rows:
        own = np.reshape(real[row["made_from"][0].decode()]["boxes"], (-1, 4))
        assert not row.get("mask")
        box, x_min, _, x_max, _ = np.reshape(row["boxes"], (-1, 4))[0], *own[0]
        mirrored = np.abs(box[[0, 2]] - [1 - x_max, 1 - x_min]).max()
        assert min(np.abs(box[[0, 2]] - [x_min, x_max]).max(), mirrored) <= 0.5 / 32 + 1e-6  # to whole pixels
    table = tmp_path / "boxes.csv"
    table.write_text("x_min,y_min,x_max,y_max\n0.25,0.25,0.75,0.5\n")
    folder = drawn(tmp_path / "gan", tmp_path / "given", count=2, boxes=str(table))
    for row in records_of(folder, "synthetic"):
        np.testing.assert_allclose(row["boxes"], [0.25, 0.25, 0.75, 0.5])
        assert len(row["made_from"]) == 1  # whose skin
    with pytest.raises(ConfigError, match="edits"):
        drawn(tmp_path / "gan", tmp_path / "edited", count=2, boxes=str(table), edits=("turn",))
    many = drawn(tmp_path / "gan", tmp_path / "many", count=500, boxes=str(table))  # more than there are donors
    assert sum(entry.records for entry in read_manifest(many).shards) == 500


def test_whatever_killed_it_a_finished_run_is_that_which_nothing_disturbed(painter, masked_shards, tmp_path):
    settings = {"shards": masked_shards, "method": "pix2pix", **TINY}
    killed = kill_and_resume("train_translator", tmp_path / "out", "checkpoints/translator", **settings)
    first, second = (json.loads((folder / "report.json").read_text()) for folder in (painter, killed))
    assert first["generator_sha256"] == second["generator_sha256"]
    assert (painter / "metrics.jsonl").read_text() == (killed / "metrics.jsonl").read_text()
    for grid in (painter / "samples").iterdir():
        assert grid.read_bytes() == (killed / "samples" / grid.name).read_bytes()


def test_a_run_starts_from_the_weights_of_another(translator, masked_shards, tmp_path):
    settings = {"learning_rate": 1e-12, "total_steps": 1, "ema_decay": 0.0, "num_folds": 2}
    train_translator.run(config_of(masked_shards, tmp_path / "new", init_from=str(translator), **settings))
    found, source = (open_translator_run(str(each), "gan") for each in (tmp_path / "new", translator))
    assert found.report.ancestors == (source.report.trained_on,)
    kept, new = (load_translator(run).get_weights() for run in (source, found))
    trained = max(np.abs(one - other).max() for one, other in zip(kept, new, strict=True))
    assert trained < 0.05  # the average of the source lags behind its weights by a few steps
    other = config_of(masked_shards, tmp_path / "other", method="cyclegan", init_from=str(translator))
    with pytest.raises(CommandError, match=f"{translator}.*method fastcut"):
        train_translator.run(other)
    leaking = config_of(masked_shards, tmp_path / "leak", fold=1, init_from=str(translator))
    with pytest.raises(CommandError, match="which this fold holds out"):
        train_translator.run(leaking)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"target_class": "nevus"}, "--target_class='nevus'.*benign, malignant"),
        ({"source_class": "malignant"}, "--source_class=malignant"),
        ({"method": "cyclegna"}, "cyclegna"),
        ({"method": "fastcut", "cycle_weight": 1.0}, "cycle_weight"),
        ({"method": "auggan", "condition": "boxes"}, "pix2pix"),
    ],
)
def test_what_cannot_be_translated_is_refused_by_name(masked_shards, tmp_path, settings, named):
    with pytest.raises(UserError, match=named):
        train_translator.run(config_of(masked_shards, tmp_path / "out", **settings))
    assert not (tmp_path / "out").exists()


def test_shards_without_masks_are_refused_where_masks_are_needed(shards, tmp_path):
    for method in ("auggan", "pix2pix"):
        with pytest.raises(CommandError, match="--masks"):
            train_translator.run(config_of(shards, tmp_path / "out", method=method))
    with pytest.raises(CommandError, match="--boxes"):
        train_translator.run(config_of(shards, tmp_path / "out", method="pix2pix", condition="boxes"))


def test_settings_that_mean_nothing_to_a_run_are_refused(translator, gan, masked_shards):
    for folder, settings in (
        (translator, {"start_scale": 1}),
        (translator, {"checkpoint": "best"}),
        (translator, {"edits": ("mirror",)}),
        (gan, {"edits": ("mirror",)}),
        (gan, {"sources": str(masked_shards)}),
    ):
        with pytest.raises(CommandError, match=f"--{next(iter(settings))}"):
            open_sampler(str(folder), "gan", replace(SamplingSettings(), **settings))


def test_an_unknown_edit_is_refused_by_name(painter, tmp_path):
    with pytest.raises(ConfigError, match="squeeze"):
        drawn(painter, tmp_path / "out", edits=("squeeze",))
