"""Judging a generator end to end: figures of every class, the best generator, pictures, refusals."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from melgan.metrics import METRICS
from pipelines import evaluate_gan, synthesize
from pipelines.artefacts.generator_run import load_generator
from pipelines.artefacts.image_sets import draw_images, read_images
from pipelines.artefacts.seen import refuse_leaks, split_seen
from pipelines.artefacts.shards import open_shards, open_synthetic
from pipelines.evaluate_gan import EvaluateGanConfig
from pipelines.pages.evaluation_page import summary
from pipelines.synthesize import SynthesizeConfig
from pipelines.watches.evaluation import read_best, read_curves
from tests.pipelines.conftest import FOLDER, PHANTOM, draw_folder, only_error, succeed
from tfrecords_tools.foundation.errors import CommandError, ConfigError
from tfrecords_tools.foundation.files import file_sha256
from tfrecords_tools.manifest import read_manifest

pytestmark = pytest.mark.slow


def judge(**settings: object) -> None:
    """Runs the stage in this process, with pixels as features unless others are asked for."""
    texts = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    evaluate_gan.run(EvaluateGanConfig(**{"features": "pixels", **texts}))


def rows_of(folder: Path, images: str, **wanted: str) -> list[dict]:
    rows = json.loads((folder / "report.json").read_text())[images]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


TOO_FEW = {"fid_infinity": "it needs 8 on both sides", "prdc": "needs more than 5 images on both sides"}


def test_every_metric_is_there_for_all_classes_and_each(evaluation: Path):
    for scope in ("all classes", "benign", "malignant"):
        for metric in METRICS:
            rows = rows_of(evaluation, "synthetic", scope=scope, metric=metric)
            if scope == "malignant" and metric in TOO_FEW:  # 4 are held out
                assert TOO_FEW[metric] in rows[0]["note"]
                continue
            assert rows
            assert all(row["value"] is not None for row in rows), rows
            assert all(row["low"] <= row["value"] <= row["high"] for row in rows if row["low"] is not None)


def test_images_are_judged_by_those_that_the_generator_did_not_see(evaluation: Path, shards: Path, gan: Path):
    manifest = read_manifest(shards)
    seen = json.loads((gan / "report.json").read_text())["trained_on"]["indices"]
    held_out = [shard for shard in manifest.split("train") if shard.index not in seen]
    assert json.loads((evaluation / "report.json").read_text())["held_out"] == [shard.file for shard in held_out]
    (row,) = rows_of(evaluation, "synthetic", scope="malignant", figure="kid")
    assert row["reference"] == sum(shard.class_counts[1] for shard in held_out)
    assert row["judged"] == 100
    (mixed,) = rows_of(evaluation, "synthetic", scope="all classes", figure="kid")
    assert mixed["judged"] == mixed["reference"] == sum(shard.records for shard in held_out)


def test_real_images_score_better_than_those_of_a_generator_that_learnt_nothing(evaluation: Path):
    for figure in ("kid", "fid", "fid_infinity"):
        (synthetic,), (real,) = (
            rows_of(evaluation, kind, scope="all classes", figure=figure) for kind in ("synthetic", "real")
        )
        assert real["high"] < synthetic["low"]


def test_the_table_names_extractor_and_counts_with_every_figure(evaluation: Path):
    table = pd.read_csv(evaluation / "metrics.csv")
    reading = table["metric"].map(lambda name: METRICS[name].reads_features)
    assert set(table["features"][reading]) == {"classifier real_only (small_cnn, fold 0), 32 px antialiased"}
    assert table["features"][~reading].isna().all()
    assert (table[["judged", "reference"]] > 0).all(axis=None)
    assert set(table["images"]) == {"synthetic", "real"}


def test_pictures_show_what_their_captions_say(evaluation: Path):
    sizes = {path.name: Image.open(path).size for path in evaluation.glob("*.png")}
    assert sizes["real_and_synthetic.png"] == (44 + 4 * 66, 18 + 8 * 66)  # two classes, real and synthetic
    assert sizes["suspicious.png"][0] == 44 + 2 * 66
    assert sizes["steps.png"] == (44 + 9 * 66, 18 + 2 * 66)
    embedded = pd.read_csv(evaluation / "embedding.csv")
    assert set(embedded["images"]) == {"real", "synthetic"}
    assert np.isfinite(embedded[["x", "y"]]).all(axis=None)


def test_the_nearest_training_image_of_every_synthetic_one_is_named(evaluation: Path, shards: Path, gan: Path):
    table = pd.read_csv(evaluation / "nearest.csv")
    assert table.groupby("space").size().to_dict() == {"features": 200, "pixels": 200}
    assert (table["suspicious"] == (table["distance"] < table["threshold"])).all()
    assert table["ratio"].is_monotonic_increasing
    opened = open_shards(str(shards), "shards")
    seen, _ = split_seen(opened, json.loads((gan / "report.json").read_text())["trained_on"], "shards")
    assert set(table["nearest_training_image"]) <= set(read_images(opened, seen, 32).names)
    shares = table.groupby(["space", "class"])["suspicious"].mean()
    for space in ("features", "pixels"):
        (row,) = rows_of(evaluation, "synthetic", scope="malignant", figure=f"copies_{space}")
        assert row["value"] == pytest.approx(shares[space, "malignant"])


def test_the_page_says_first_what_stands_out_and_shows_the_training(evaluation: Path):
    page = (evaluation / "report.html").read_text()
    standing_out = dict(summary(json.loads((evaluation / "report.json").read_text())))
    assert set(standing_out) == {"benign", "malignant"}  # of each, at least whether KID is that of real images
    assert all(text in page for text in standing_out.values())
    assert "MS-SSIM has 2 of 5 scales at this size." in page
    assert "The averaged generator, judged while it was trained" in page
    assert "All are named in nearest.csv" in page


def test_a_second_metric_takes_the_features_that_are_there(evaluation: Path, gan: Path, shards: Path, line):
    files = {path: path.stat().st_mtime_ns for path in (evaluation / "features").iterdir()}
    features = f"classifier:{line.real_only}"
    judge(
        gan=gan,
        shards=shards,
        features=features,
        metrics=("kid",),
        output=line.kid,
        feature_dir=line.evaluation / "features",
    )
    assert {path: path.stat().st_mtime_ns for path in (evaluation / "features").iterdir()} == files
    assert rows_of(line.kid, "synthetic", figure="kid") == rows_of(evaluation, "synthetic", figure="kid")


def test_shards_of_one_class_are_judged_for_that_class(synthetic: Path, shards: Path, tmp_path: Path):
    judge(synthetic=synthetic, shards=shards, metrics=("kid", "ms_ssim"), output=tmp_path)
    (everything,) = rows_of(tmp_path, "synthetic", scope="all classes", metric="kid")
    assert everything["value"] is None
    assert everything["note"] == "not every class of the real images is among those to judge"
    (malignant,) = rows_of(tmp_path, "synthetic", scope="malignant", metric="kid")
    assert malignant["value"] is not None
    assert malignant["judged"] == 30
    assert not (tmp_path / "steps.png").exists()  # there is no generator to draw from


def test_a_generator_that_saw_everything_is_judged_but_not_for_copies(gan: Path, shards: Path, tmp_path: Path, caplog):
    shutil.copytree(gan, tmp_path / "gan")
    report = json.loads((gan / "report.json").read_text())
    report["trained_on"]["indices"] = list(range(6))
    (tmp_path / "gan" / "report.json").write_text(json.dumps({**report, "best": None}))
    caplog.set_level("WARNING", logger="absl")
    judge(gan=tmp_path / "gan", shards=shards, metrics=("kid", "memorisation"), output=tmp_path / "out")
    assert "train with --num_folds and --fold to hold some out" in caplog.text
    assert rows_of(tmp_path / "out", "synthetic", scope="benign", figure="kid")[0]["value"] is not None
    assert {row["value"] for row in rows_of(tmp_path / "out", "synthetic", metric="memorisation")} == {None}
    assert not (tmp_path / "out" / "nearest.csv").exists()
    wanted = {"gan": str(tmp_path / "gan"), "output": str(tmp_path / "synthetic"), "label": "malignant", "count": 2}
    with pytest.raises(CommandError, match="train it with --num_folds and --fold"):
        synthesize.run(SynthesizeConfig(**wanted, reject_copies=True))
    with pytest.raises(CommandError, match="kept no best generator; train with --eval_interval"):
        synthesize.run(SynthesizeConfig(**wanted, checkpoint="best"))


@pytest.fixture(scope="module")
def best_synthetic(gan: Path, line, run_stage) -> Path:
    """Images of the best generator of the run."""
    settings = {"gan": gan, "output": line.best_synthetic, "label": "malignant", "count": 3, "checkpoint": "best"}
    succeed(run_stage("synthesize", **settings))
    return line.best_synthetic


def test_training_keeps_the_generator_with_the_lowest_kid_of_the_rarest_class(gan: Path, best_synthetic: Path):
    steps, values = read_curves(gan)["kid"]["malignant"]
    assert steps == [4, 8, 12]
    best = read_best(gan)
    assert (best["step"], best["class"]) == (steps[int(np.argmin(values))], "malignant")
    assert best["kid"] == min(values)
    assert best["sha256"] == file_sha256(gan / "best_generator.weights.h5")
    assert json.loads((gan / "report.json").read_text())["best"] == best
    assert read_manifest(best_synthetic).provenance["generator"] == best["sha256"]


def test_a_generator_chosen_by_held_out_images_must_not_be_validated_by_them(
    gan: Path, shards: Path, best_synthetic: Path, tmp_path: Path, caplog
):
    opened, synthetic = open_shards(str(shards), "shards"), open_synthetic(str(best_synthetic), "synthetic")
    trained_on = json.loads((gan / "report.json").read_text())["trained_on"]
    seen, held_out = split_seen(opened, trained_on, "shards")
    assert synthetic.manifest.provenance["selected_on"]["shards"] == [shard.file for shard in held_out]
    with pytest.raises(CommandError, match=f"chosen by its figures on {held_out[0].file}.*--checkpoint=last"):
        refuse_leaks(synthetic, opened, held_out)
    caplog.set_level("WARNING", logger="absl")
    judge(gan=gan, shards=shards, checkpoint="best", metrics=("kid",), output=tmp_path / "out")
    assert f"chosen among those of its run by {held_out[0].file}" in caplog.text
    assert "its figures are flattered" in (tmp_path / "out" / "report.html").read_text()


def test_rejecting_copies_draws_as_many_images_and_counts_the_rejected(gan: Path, tmp_path: Path, run_stage):
    settings = {"gan": gan, "output": tmp_path / "synthetic", "label": "malignant", "count": 12, "shard_size": 5}
    succeed(run_stage("synthesize", **settings, reject_copies=True))
    manifest = read_manifest(tmp_path / "synthetic")
    assert [shard.records for shard in manifest.shards] == [4, 4, 4]
    rejected = json.loads((tmp_path / "synthetic" / "report.json").read_text())["rejected_copies"]
    assert manifest.provenance["rejected_copies"] == sum(rejected)


def test_drawn_images_are_judged_as_the_stored_ones_are(gan: Path, synthetic: Path):

    generator, shards = load_generator(str(gan), "gan"), open_synthetic(str(synthetic), "synthetic")
    stored = read_images(shards, shards.manifest.shards, 32)
    drawn = draw_images(generator.network, generator.sha256, np.ones(30, int), 0)
    order = np.concatenate([np.arange(0, 30, 2), np.arange(1, 30, 2)])  # how two shards share thirty images
    np.testing.assert_array_equal(stored.images, drawn.images[order])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "say what to judge: either --gan, or --synthetic"),
        ({"gan": "GAN", "synthetic": "GAN"}, "say what to judge: either --gan, or --synthetic"),
        (
            {"synthetic": "GAN", "checkpoint": "best"},
            "--checkpoint and --images_per_class choose what is drawn",
        ),
        ({"gan": "GAN", "features": "classifier:"}, "features is 'classifier:', which names no classifier"),
        (
            {"gan": "GAN", "feature_dir": "gs://bucket/features"},
            "--feature_dir=gs://bucket/features: this stage",
        ),
        ({"gan": "GAN", "metrics": ("kid", "psnr")}, "metrics is 'psnr'; known are kid, fid"),
        ({"gan": "GAN", "features": "vgg"}, "features is 'vgg'; known are inception, pixels, random"),
        ({"gan": "GAN", "features": "inception", "weights": "no_such.h5"}, "weights is 'no_such.h5'"),
        ({"gan": "GAN", "features": "classifier:GAN"}, "made by train_gan, not by train_classifier"),
        ({"gan": "GAN", "output": "gs://bucket/out"}, "writes to a local folder only"),
    ],
)
def test_what_cannot_be_judged_is_said(settings, message, gan: Path, shards: Path, tmp_path: Path):
    settings = {
        name: value.replace("GAN", str(gan)) if isinstance(value, str) else value for name, value in settings.items()
    }
    with pytest.raises((ConfigError, CommandError), match=re.escape(message)):
        judge(**{"shards": shards, "output": tmp_path / "out", **settings})


def test_an_error_is_one_line(gan: Path, shards: Path, tmp_path: Path, run_stage):
    settings = {"gan": gan, "shards": shards, "features": "vgg", "output": tmp_path / "out"}
    assert "known are inception, pixels, random" in only_error(run_stage("evaluate_gan", **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 16}, "its images are 16 px, those to judge 32 px"),
        ({"num_shards": 4}, "was trained on shards of other folds"),
    ],
)
def test_shards_of_other_sizes_or_folds_are_refused(settings, message, gan: Path, tmp_path: Path, run_stage):
    succeed(run_stage("make_shards", output=tmp_path / "shards", **{**PHANTOM, **settings}))
    with pytest.raises(CommandError, match=message):
        judge(gan=gan, shards=tmp_path / "shards", output=tmp_path / "out")


def test_shards_of_other_classes_are_refused(gan: Path, tmp_path: Path, run_stage):
    succeed(run_stage("make_shards", input=draw_folder(tmp_path / "images"), output=tmp_path / "shards", **FOLDER))
    with pytest.raises(CommandError, match="the generator knows the classes benign, malignant"):
        judge(gan=gan, shards=tmp_path / "shards", output=tmp_path / "out")
