"""Evaluating a generator end to end: metrics of every class, the best generator, pictures, refusals."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from melgan.metrics import METRICS
from melgan.sampling import Requests
from pipelines import evaluate_gan, synthesize
from pipelines.artefacts.evaluation import EvaluationReport
from pipelines.artefacts.evaluation_curves import read_curves
from pipelines.artefacts.generator_run import GanReport, load_generator, read_best
from pipelines.artefacts.image_sets import SyntheticImages, read_images
from pipelines.artefacts.seen import split_seen, without_leaks
from pipelines.artefacts.shards import open_shards, open_synthetic
from pipelines.contract.workdir import read_report
from pipelines.evaluate_gan import EvaluateGanConfig
from pipelines.pages.evaluation_verdict import summary
from pipelines.synthesize import SynthesizeConfig
from tests.pipelines.conftest import FOLDER, PHANTOM, draw_folder, only_error, succeed
from tfrecords_tools.foundation.errors import CommandError, ConfigError
from tfrecords_tools.foundation.files import file_sha256
from tfrecords_tools.manifest import read_manifest

pytestmark = pytest.mark.slow


def evaluate(**settings: object) -> None:
    """Runs the command in this process, with pixels as features unless others are asked for."""
    texts = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    evaluate_gan.run(EvaluateGanConfig(**{"features": "pixels", **texts}))


def rows_of(folder: Path, images: str, **wanted: str) -> list[dict]:
    rows = json.loads((folder / "report.json").read_text())[images]
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


TOO_FEW = {"fid_infinity": "8", "prdc": "5"}  # and how many it needs


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


def test_images_are_evaluated_by_those_that_the_generator_did_not_see(evaluation: Path, shards: Path, gan: Path):
    manifest = read_manifest(shards)
    seen = json.loads((gan / "report.json").read_text())["trained_on"]["indices"]
    held_out = [shard for shard in manifest.split("train") if shard.index not in seen]
    assert json.loads((evaluation / "report.json").read_text())["held_out"] == [shard.file for shard in held_out]
    (row,) = rows_of(evaluation, "synthetic", scope="malignant", figure="kid")
    assert row["reference"] == sum(shard.class_counts[1] for shard in held_out)
    assert row["judged"] == 100  # so the file calls how many were evaluated
    (mixed,) = rows_of(evaluation, "synthetic", scope="all classes", figure="kid")
    assert mixed["judged"] == mixed["reference"] == sum(shard.records for shard in held_out)


def test_real_images_score_better_than_those_of_a_generator_that_learnt_nothing(evaluation: Path):
    for name in ("kid", "fid", "fid_infinity"):
        (synthetic,), (real,) = (
            rows_of(evaluation, kind, scope="all classes", figure=name) for kind in ("synthetic", "real")
        )
        assert real["high"] < synthetic["low"]


def test_the_table_names_extractor_and_counts_with_every_metric(evaluation: Path):
    table = pd.read_csv(evaluation / "metrics.csv")
    names = "images metric figure scope better judged reference note value low high features"
    assert table.columns.tolist() == names.split()
    reading = table["metric"].map(lambda name: METRICS[name].reads_features)
    assert set(table["features"][reading]) == {"classifier real_only (small_cnn, fold 0), 32 px antialiased"}
    assert table["features"][~reading].isna().all()
    assert (table[["judged", "reference"]] > 0).all(axis=None)
    assert set(table["images"]) == {"synthetic", "real"}


def test_pictures_show_what_their_captions_say(evaluation: Path):
    sizes = {path.name: Image.open(path).size for path in evaluation.glob("*.png")}
    assert sizes["real_and_synthetic.png"][1] == 4 * 66  # two classes, real and synthetic, below each other
    assert 8 * 66 < sizes["real_and_synthetic.png"][0] < 10 * 66  # eight images, and the names beside them
    assert sizes["suspicious.png"][1] == 18 + 2 * 66
    assert sizes["steps.png"][1] == 18 + 2 * 66
    assert sizes["steps.png"][0] > 9 * 66
    embedded = pd.read_csv(evaluation / "embedding.csv")
    assert set(embedded["images"]) == {"real", "synthetic"}
    assert np.isfinite(embedded[["x", "y"]]).all(axis=None)


def test_the_nearest_training_image_of_every_synthetic_one_is_named(evaluation: Path, shards: Path, gan: Path):
    table = pd.read_csv(evaluation / "nearest.csv")
    assert table.groupby("space").size().to_dict() == {"features": 200, "pixels": 200}
    assert (table["suspicious"] == (table["distance"] < table["threshold"])).all()
    assert table["ratio"].is_monotonic_increasing
    opened = open_shards(str(shards), "shards")
    seen = split_seen(read_report(gan, GanReport).seen(), opened, "shards").seen
    assert set(table["nearest_training_image"]) <= set(read_images(opened, seen, 32).names)
    fractions = table.groupby(["space", "class"])["suspicious"].mean()
    for space in ("features", "pixels"):
        (row,) = rows_of(evaluation, "synthetic", scope="malignant", figure=f"copies_{space}")
        assert row["value"] == pytest.approx(fractions[space, "malignant"])


def test_the_page_says_first_what_stands_out_and_shows_the_training(evaluation: Path):
    page = (evaluation / "report.html").read_text()
    standing_out = dict(summary(read_report(evaluation, EvaluationReport)))
    assert set(standing_out) == {"benign", "malignant"}  # of each, at least whether KID is that of real images
    assert all(text in page for text in standing_out.values())
    assert "2 of 5 scales" in page
    assert page.count("data:image/") == 6  # two charts of metrics, three pictures, the embedding
    assert "nearest.csv" in page


def test_a_second_metric_takes_the_features_that_are_there(evaluation: Path, gan: Path, shards: Path, line):
    files = {path: path.stat().st_mtime_ns for path in (evaluation / "features").iterdir()}
    features = f"classifier:{line.real_only}"
    evaluate(
        gan=gan,
        shards=shards,
        features=features,
        metrics=("kid",),
        output=line.kid,
        feature_dir=line.evaluation / "features",
    )
    assert {path: path.stat().st_mtime_ns for path in (evaluation / "features").iterdir()} == files
    assert rows_of(line.kid, "synthetic", figure="kid") == rows_of(evaluation, "synthetic", figure="kid")


def test_shards_of_one_class_are_evaluated_for_that_class(synthetic: Path, shards: Path, tmp_path: Path):
    evaluate(synthetic=synthetic, shards=shards, metrics=("kid", "ms_ssim"), output=tmp_path)
    (everything,) = rows_of(tmp_path, "synthetic", scope="all classes", metric="kid")
    assert everything["value"] is None
    assert everything["note"]
    (malignant,) = rows_of(tmp_path, "synthetic", scope="malignant", metric="kid")
    assert malignant["value"] is not None
    assert malignant["judged"] == 30
    assert not (tmp_path / "steps.png").exists()  # there is no generator to draw from


def test_a_generator_that_saw_everything_is_evaluated_but_not_for_copies(
    gan: Path, shards: Path, tmp_path: Path, caplog
):
    shutil.copytree(gan, tmp_path / "gan")
    report = json.loads((gan / "report.json").read_text())
    report["trained_on"]["indices"] = list(range(6))
    (tmp_path / "gan" / "report.json").write_text(json.dumps({**report, "best": None}))
    (tmp_path / "gan" / "COMPLETED").write_text(file_sha256(tmp_path / "gan" / "report.json"))
    caplog.set_level("WARNING", logger="absl")
    evaluate(gan=tmp_path / "gan", shards=shards, metrics=("kid", "memorisation"), output=tmp_path / "out")
    assert re.search("--num_folds .*--fold", caplog.text)
    assert rows_of(tmp_path / "out", "synthetic", scope="benign", figure="kid")[0]["value"] is not None
    assert {row["value"] for row in rows_of(tmp_path / "out", "synthetic", metric="memorisation")} == {None}
    assert not (tmp_path / "out" / "nearest.csv").exists()
    wanted = {"gan": str(tmp_path / "gan"), "output": str(tmp_path / "synthetic"), "label": "malignant", "count": 2}
    with pytest.raises(CommandError, match="--reject_copies.*--num_folds .*--fold"):
        synthesize.run(SynthesizeConfig(**wanted, reject_copies=True))
    with pytest.raises(CommandError, match=f"--gan={tmp_path}/gan: .*--eval_interval"):
        synthesize.run(SynthesizeConfig(**wanted, checkpoint="best"))
    assert not (tmp_path / "synthetic").exists()


@pytest.fixture(scope="module")
def best_synthetic(gan: Path, line, launch) -> Path:
    """Images of the best generator of the run."""
    settings = {"gan": gan, "output": line.best_synthetic, "label": "malignant", "count": 3, "checkpoint": "best"}
    succeed(launch("synthesize", **settings))
    return line.best_synthetic


def test_training_keeps_the_generator_with_the_lowest_kid_of_the_rarest_class(gan: Path, best_synthetic: Path):
    steps, values = read_curves(gan)["kid"]["malignant"]
    assert steps == [4, 8, 12]
    best = read_best(gan)
    assert (best.step, best.class_name) == (steps[int(np.argmin(values))], "malignant")
    assert best.kid == min(values)
    assert best.sha256 == file_sha256(gan / "best_generator.weights.h5")
    assert read_report(gan, GanReport).best == best
    stored = json.loads((gan / "report.json").read_text())["best"]
    assert json.loads((gan / "best.json").read_text()) == stored
    assert list(stored) == ["step", "kid", "class", "sha256", "selected_on"]
    assert read_manifest(best_synthetic).provenance.generator == best.sha256
    loaded = load_generator(str(gan), "gan", "best")
    assert (loaded.sha256, loaded.seen.selected_on) == (best.sha256, best.selected_on)


def test_a_generator_selected_by_held_out_images_must_not_be_validated_by_them(
    gan: Path, shards: Path, best_synthetic: Path, tmp_path: Path, caplog
):
    opened, synthetic = open_shards(str(shards), "shards"), open_synthetic(str(best_synthetic), "synthetic")
    held_out = split_seen(read_report(gan, GanReport).seen(), opened, "shards").held_out
    files = tuple(shard.file for shard in held_out)
    assert synthetic.manifest.provenance.selected_on.shards == files
    with pytest.raises(CommandError, match=f"{held_out[0].file}.*--checkpoint=last.*--eval_by=training"):
        without_leaks(synthetic, opened, held_out)
    caplog.set_level("WARNING", logger="absl")
    files_too = {"figures": ("svg",), "tables": ("csv",)}
    evaluate(gan=gan, shards=shards, checkpoint="best", metrics=("kid",), output=tmp_path / "out", **files_too)
    assert held_out[0].file in caplog.text
    assert "--checkpoint=last" in caplog.text
    report = read_report(tmp_path / "out", EvaluationReport)
    assert report.selected_by == report.held_out == files
    stored = json.loads((tmp_path / "out" / "report.json").read_text())
    assert stored["chosen_by"] == list(files)
    assert {"figures/evaluation_1.svg", "tables/evaluation_1.csv"} <= set(stored["files"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count(", ".join(files)) == 2  # what it is evaluated by, and what it was selected by


def test_rejecting_copies_draws_as_many_images_and_counts_the_rejected(gan: Path, tmp_path: Path, launch):
    settings = {"gan": gan, "output": tmp_path / "synthetic", "label": "malignant", "count": 12, "shard_size": 5}
    succeed(launch("synthesize", **settings, reject_copies=True))
    manifest = read_manifest(tmp_path / "synthetic")
    assert [shard.records for shard in manifest.shards] == [4, 4, 4]
    rejected = json.loads((tmp_path / "synthetic" / "report.json").read_text())["rejected_copies"]
    assert manifest.provenance.rejected_copies == sum(rejected)


def test_drawn_images_are_evaluated_as_the_stored_ones_are(gan: Path, synthetic: Path):
    generator, shards = load_generator(str(gan), "gan"), open_synthetic(str(synthetic), "synthetic")
    stored = read_images(shards, shards.manifest.shards, 32)
    images = SyntheticImages(generator.sampler(0), (generator.sha256, 0), quality=95)
    drawn = images.draw(Requests(index=np.arange(30), label=np.ones(30, int)))
    order = np.concatenate([np.arange(0, 30, 2), np.arange(1, 30, 2)])  # how thirty images lie in two shards
    np.testing.assert_array_equal(stored.images, drawn.images[order])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "--gan.*--synthetic"),
        ({"gan": "GAN", "synthetic": "GAN"}, "--gan.*--synthetic"),
        ({"synthetic": "GAN", "checkpoint": "best"}, "--checkpoint"),
        ({"synthetic": "GAN", "images_per_class": 7}, "--images_per_class"),
        ({"synthetic": "GAN", "quality": 50}, "--quality"),
        ({"gan": "GAN", "quality": 101}, "quality is 101; "),
        ({"gan": "GAN", "features": "classifier:"}, "features is 'classifier:'"),
        ({"gan": "GAN", "feature_dir": "gs://bucket/features"}, "--feature_dir=gs://bucket/features: "),
        ({"gan": "GAN", "metrics": ("kid", "psnr")}, "metrics is 'psnr'; known are kid, fid"),
        ({"gan": "GAN", "features": "vgg"}, "features is 'vgg'; known are inception, pixels, random"),
        ({"gan": "GAN", "features": "inception", "weights": "no_such.h5"}, "weights is 'no_such.h5'"),
        ({"gan": "GAN", "features": "classifier:GAN"}, "--features=GAN: .*train_gan.*train_classifier"),
        ({"gan": "GAN", "output": "gs://bucket/out"}, "--output=gs://bucket/out: "),
        ({"synthetic": "SHARDS"}, "--synthetic=SHARDS: "),
        ({"gan": "SHARDS"}, "--gan=SHARDS: .*make_shards"),
    ],
)
def test_what_cannot_be_evaluated_is_said_and_leaves_no_folder(
    settings, message, gan: Path, shards: Path, tmp_path: Path
):
    def named(text: str) -> str:
        return text.replace("GAN", str(gan)).replace("SHARDS", str(shards))

    settings = {name: named(value) if isinstance(value, str) else value for name, value in settings.items()}
    with pytest.raises((ConfigError, CommandError), match=named(message)):
        evaluate(**{"shards": shards, "output": tmp_path / "out", **settings})
    assert not (tmp_path / "out").exists()


def test_images_of_a_lower_quality_are_other_images(evaluation: Path, gan: Path, shards: Path, line, tmp_path: Path):
    """The features of the real images are those that are there; those of synthetic images are extracted anew."""
    for name in ("first", "second"):
        evaluate(
            gan=gan,
            shards=shards,
            features=f"classifier:{line.real_only}",
            metrics=("kid",),
            output=tmp_path / name,
            feature_dir=shutil.copytree(evaluation / "features", tmp_path / f"features of {name}"),
            quality=50 if name == "second" else 95,
        )
    before = set(os.listdir(evaluation / "features"))
    new = [set(os.listdir(tmp_path / f"features of {name}")) - before for name in ("first", "second")]
    assert [len(files) for files in new] == [0, 1]
    same, expected = (rows_of(folder, "synthetic", figure="kid") for folder in (tmp_path / "first", evaluation))
    assert same == expected


def test_an_error_is_one_line(gan: Path, shards: Path, tmp_path: Path, launch):
    settings = {"gan": gan, "shards": shards, "features": "vgg", "output": tmp_path / "out"}
    assert "known are inception, pixels, random" in only_error(launch("evaluate_gan", **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 16}, "shards: .*16 px.*32 px"),
        ({"num_shards": 4}, "--shards=.*shards: .*folds"),
    ],
)
def test_shards_of_other_sizes_or_folds_are_refused(settings, message, gan: Path, tmp_path: Path, launch):
    succeed(launch("make_shards", output=tmp_path / "shards", **{**PHANTOM, **settings}))
    with pytest.raises(CommandError, match=message):
        evaluate(gan=gan, shards=tmp_path / "shards", output=tmp_path / "out")


def test_shards_of_other_classes_are_refused(gan: Path, tmp_path: Path, launch):
    succeed(launch("make_shards", input=draw_folder(tmp_path / "images"), output=tmp_path / "shards", **FOLDER))
    with pytest.raises(CommandError, match="benign, malignant.*a, b"):
        evaluate(gan=gan, shards=tmp_path / "shards", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
