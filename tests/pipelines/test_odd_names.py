"""The whole line on classes and images with names that mean something to a table, a page, a picture or a terminal."""

import csv
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipelines import evaluate_gan, make_shards, make_submission, report, synthesize, train_classifier, train_gan
from pipelines.artefacts.classifier_run import ClassifierReport
from pipelines.artefacts.evaluation import EvaluationReport
from pipelines.artefacts.evaluation_curves import read_curves
from pipelines.artefacts.predictions import read_predictions, scores
from pipelines.artefacts.submission import SubmissionReport
from pipelines.contract.workdir import read_report
from pipelines.pages.evaluation_pictures import read_embedding
from tests.pipelines.conftest import picture
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.manifest import read_manifest
from tfrecords_tools.sources import SOURCES, image_folder
from tfrecords_tools.sources.listing import list_images
from tfrecords_tools.sources.table import SourceOptions, SourceTable, image_table

CLASSES = ("=1+1", "_<script>$x$", "label", "nan")
TEST_IMAGES = ("=2+2.png", "-5.png", 'a,"b".png', "NA.png", "$x$<i>.png", "unreadable\u202e.png")
SMALL = {"image_size": 32, "num_folds": 2}
GAN = {"width": 0.1, "global_batch_size": 8, "disc_steps": 1, "total_steps": 2, "eval_interval": 2}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Iterator[Path]:
    """A folder in which every command has run, on images that have no patients but a test split."""
    folder = tmp_path_factory.mktemp("<i>$u$ [1] =1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, "image_folder", _with_test_images)
        _run_line(folder)
    return folder


def _run_line(root: Path) -> None:
    shards, gan, synthetic = (str(root / name) for name in ("_shards", "$gan", "synthetic"))
    _draw(root / "images")
    make_shards.run(
        make_shards.MakeShardsConfig(
            source=("image_folder",), input=(f"{root}/images",), output=shards, image_size=32, num_shards=2, workers=1
        )
    )
    train_gan.run(
        train_gan.TrainGanConfig(
            shards=shards, workdir=gan, method="cdragan", checkpoint_every=2, log_every=2, fold=0, **SMALL, **GAN
        )
    )
    synthesize.run(synthesize.SynthesizeConfig(gan=gan, output=synthetic, label="=1+1", count=8))
    evaluate_gan.run(
        evaluate_gan.EvaluateGanConfig(
            gan=gan,
            shards=shards,
            output=f"{root}/evaluation",
            features="pixels",
            metrics=("kid", "memorisation"),
            images_per_class=3,
        )
    )
    train_classifier.run(
        train_classifier.TrainClassifierConfig(
            shards=shards, workdir=f"{root}/real", backbone="small_cnn", epochs=1, test_time_views=1, **SMALL
        )
    )
    make_submission.run(_submission(root, fill="mean"))
    runs = ("_shards", "$gan", "synthetic", "evaluation", "real", "submission")
    report.run(
        report.ReportConfig(runs=tuple(f"{root}/{name}" for name in runs), output=f"{root}/report", title="<b>$t$</b>")
    )


def _draw(folder: Path) -> None:
    names = [
        f"{name}/{file}" for name in CLASSES for file in ("=2+2.png", "1.png", "$x$.png", "4.png", "5.png", "6.png")
    ]
    for number, name in enumerate([*names, *(f".test/{file}" for file in TEST_IMAGES)]):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number, 32).save(path)
    (folder / ".test" / TEST_IMAGES[-1]).write_text("no picture")
    rows = pd.DataFrame({"image_name": TEST_IMAGES, "target": 0})
    rows.to_csv(folder / ".test" / "sample_submission.csv", index=False)


def _with_test_images(folder: Path, options: SourceOptions) -> SourceTable:
    """A folder a class, and a hidden one with test images."""
    files = [file for file in list_images(folder / ".test", (".png",)) if file.name in TEST_IMAGES]
    names, placed = [file.name for file in files], [replace(file, name=f".test/{file.name}") for file in files]
    test = image_table(placed, names, [0] * len(files))
    sample_submission = folder / ".test" / "sample_submission.csv"
    return replace(
        image_folder.load(folder, options), test=test.drop(columns="target"), sample_submission=sample_submission
    )


def _submission(root: Path, **settings: str) -> make_submission.MakeSubmissionConfig:
    return make_submission.MakeSubmissionConfig(
        **{"runs": (f"{root}/real",), "output": f"{root}/submission", "label": "label", **settings}
    )


def test_classes_keep_their_names_in_every_document(root: Path):
    assert read_manifest(root / "_shards").classes == CLASSES
    assert read_report(root / "evaluation", EvaluationReport).scopes == ("all classes", *CLASSES)
    metrics = read_report(root / "real", ClassifierReport).metrics
    named = {f"{metric}_{name}" for metric in ("auc", "recall") for name in CLASSES}
    of_all = {"mean_auc", "pooled_rank_auc", "average_precision", "brier_score", "calibration_error"}
    assert set(metrics) == of_all | named
    assert set(read_curves(root / "$gan")["kid"]) == {"all classes", *CLASSES}
    embedded = read_embedding(root / "evaluation")
    assert set(embedded["class"]) == set(CLASSES)


def test_predictions_are_those_of_their_class_and_image(root: Path):
    table = read_predictions(root / "real" / "oof.csv", CLASSES)
    labels, probabilities = scores(table)
    assert len(table) == 24
    assert {name.split("/")[0] for name in table["image_name"]} == set(CLASSES)
    assert [CLASSES[label] for label in labels] == [name.split("/")[0] for name in table["image_name"]]
    assert probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_no_table_holds_a_formula(root: Path):
    paths = [path for path in root.rglob("*.csv") if path.parent.name not in (".test", "_shards", "submission")]
    paths += [root / "_shards" / name for name in ("rejected.csv", "duplicates.csv")]
    assert len(paths) == 10
    for path in paths:
        with open(path, encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or cell == "-5.png"], path


def test_a_submission_names_its_images_as_kaggle_does_and_is_filled(root: Path):
    table = pd.read_csv(root / "submission" / "submission.csv", keep_default_na=False)
    assert tuple(table["image_name"]) == TEST_IMAGES
    predicted, filled = table["target"][:-1], table["target"].iloc[-1]
    assert filled == pytest.approx(predicted.mean())
    written = read_report(root / "submission", SubmissionReport)
    (member,) = written.members
    pd.testing.assert_frame_equal(pd.read_csv(root / "submission" / member.predictions, keep_default_na=False), table)
    assert (written.label, written.filled, written.filled_images) == ("label", 1, TEST_IMAGES[-1:])


def test_what_cannot_be_filled_is_refused_before_any_work_and_may_then_be(root: Path, tmp_path: Path, caplog):
    with pytest.raises(CommandError, match=r"unreadable.*--fill=mean"):
        make_submission.run(_submission(root, output=f"{tmp_path}/out"))
    assert not (tmp_path / "out").exists()
    with caplog.at_level(logging.WARNING, logger="absl"):
        make_submission.run(_submission(root, output=f"{tmp_path}/out", fill="mean"))
    assert TEST_IMAGES[-1] in caplog.text


def test_the_page_shows_names_as_text(root: Path):
    page = (root / "report" / "report.html").read_text()
    assert "&lt;b&gt;$t$&lt;/b&gt;" in page
    assert "_&lt;script&gt;$x$" in page
    assert "<script" not in page
    assert r"unreadable\u202e.png" in page
    assert "\u202e" not in page
    assert "1 image has no prediction" in page
