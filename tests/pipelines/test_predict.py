"""New images predicted by runs: as the same images in shards, of any number of classes, calibrated, and resumed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import make_shards, make_submission, predict, train_classifier
from pipelines.artefacts.predicted import PredictReport
from pipelines.contract.workdir import read_report
from pipelines.pages.predictions_section import predictions_section
from tests.pipelines.conftest import jpeg, only_error, picture, succeed
from tfrecords_tools.foundation.errors import CommandError, DataError, UserError
from tfrecords_tools.foundation.files import as_path, write_atomically

pytestmark = pytest.mark.slow

CLASSES = ("=1+1", "label", "nevus")
STORED = {"image_size": 40, "fit": "pad", "quality": 70}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Pictures of three classes that are not square, shards of them, and a run of two folds."""
    root = tmp_path_factory.mktemp("three")
    for number in range(30):
        path = root / "images" / CLASSES[number % 3] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(picture(number, 96).resize((96, 60))))
    make_shards.run(
        make_shards.MakeShardsConfig(
            source=("image_folder",),
            input=(f"{root}/images",),
            output=f"{root}/shards",
            num_shards=4,
            workers=1,
            **STORED,
        )
    )
    train_classifier.run(
        train_classifier.TrainClassifierConfig(
            shards=f"{root}/shards",
            workdir=f"{root}/run",
            backbone="small_cnn",
            image_size=32,
            epochs=1,
            num_folds=2,
            test_time_views=2,
        )
    )
    return root


@pytest.fixture
def predicted(root: Path, tmp_path: Path):
    """Runs predict on all images, in this process."""

    def run(name: str = "out", **settings) -> pd.DataFrame:
        given = {"runs": (f"{root}/run",), "input": f"{root}/images", "workers": 1, **settings}
        predict.run(predict.PredictConfig(output=f"{tmp_path}/{name}", **given))
        return read(tmp_path / name / "predictions.csv")

    return run


def read(path: Path) -> pd.DataFrame:
    """The table, without the apostrophes before names that would be formulas."""
    table = pd.read_csv(path, dtype={"image_name": str})
    names = {name: table[name].str.removeprefix("'") for name in ("image_name", "most_probable_class") if name in table}
    return table.assign(**names).set_index("image_name")


def probabilities(table: pd.DataFrame) -> pd.DataFrame:
    return table[[f"probability {name}" for name in CLASSES]]


def test_networks_predict_image_files_as_train_classifier_predicted_them_in_shards(root, predicted, tmp_path):
    """Out of fold, each network has predicted its images once before: cut, reduced, compressed and read alike."""
    predicted()
    for fold in (0, 1):
        before = read(root / "run" / f"fold{fold}" / "predictions.csv")
        now = read(tmp_path / "out" / "networks" / f"1_run_fold{fold}.csv").loc[before.index]
        np.testing.assert_allclose(probabilities(now), probabilities(before), atol=1e-6)
        assert len(before) > 8


def test_files_tables_and_shards_of_the_same_images_get_the_same_probabilities(root, predicted, tmp_path):
    files = predicted("files")
    stored = predicted("stored", input=f"{root}/shards").loc[files.index]
    names = pd.Series(files.index[::-1], name="image_name")
    names.to_csv(tmp_path / "names.csv", index=False)
    named = predicted("named", input=f"{tmp_path}/names.csv", images=f"{root}/images")
    assert named.index.tolist() == [name.removesuffix(".jpg") for name in names]
    for other in (stored, named[::-1]):
        np.testing.assert_allclose(probabilities(other), probabilities(files), atol=1e-6)
        assert other["most_probable_class"].tolist() == files["most_probable_class"].tolist()


def test_the_table_is_the_mean_of_its_networks_with_their_disagreement(root, predicted, tmp_path):
    shutil.copytree(root / "run", tmp_path / "again")
    table = predicted(runs=(f"{root}/run", f"{tmp_path}/again"))
    files = sorted((tmp_path / "out" / "networks").iterdir())
    assert [file.name for file in files] == [
        f"{n}_{run}_fold{k}.csv" for n, run in ((1, "run"), (2, "again")) for k in (0, 1)
    ]
    networks = np.stack([probabilities(read(file)).to_numpy() for file in files])
    np.testing.assert_allclose(probabilities(table), networks.mean(axis=0))
    np.testing.assert_allclose(probabilities(table).sum(axis=1), 1, atol=1e-6)
    best = networks.mean(axis=0).argmax(axis=1)
    assert table["most_probable_class"].tolist() == [CLASSES[number] for number in best]
    np.testing.assert_allclose(table["disagreement"], networks.std(axis=0)[np.arange(len(best)), best])
    report = read_report(tmp_path / "out", PredictReport)
    assert (report.classes, report.images, sum(report.most_probable.values())) == (CLASSES, 30, 30)
    assert [(run.name, run.networks) for run in report.runs] == [("run", 2), ("again", 2)]


def test_calibrated_probabilities_are_those_of_a_submission(classifier, shards, tmp_path):
    calibration = {"temperature": "fitted", "prior": "real", "runs": (str(classifier),)}
    make_submission.run(make_submission.MakeSubmissionConfig(output=f"{tmp_path}/submission", **calibration))
    predict.run(predict.PredictConfig(output=f"{tmp_path}/out", input=str(shards), **calibration))
    submitted = pd.read_csv(tmp_path / "submission" / "submission.csv").set_index("image_name")["target"]
    found = read(tmp_path / "out" / "predictions.csv")["probability malignant"]
    np.testing.assert_allclose(found.loc[submitted.index], submitted, atol=1e-9)
    (run,) = read_report(tmp_path / "out", PredictReport).runs
    assert run.temperature != 1


def files_of(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_a_killed_run_predicts_with_the_networks_that_are_left_and_ends_in_equal_bytes(predicted, tmp_path):
    whole = predicted("whole")
    predicted("out")
    for name in ("COMPLETED", "report.json", "predictions.csv", "networks/1_run_fold1.csv"):
        (tmp_path / "out" / name).unlink()
    kept = (tmp_path / "out" / "networks" / "1_run_fold0.csv").stat().st_mtime_ns
    pd.testing.assert_frame_equal(predicted("out"), whole)
    assert (tmp_path / "out" / "networks" / "1_run_fold0.csv").stat().st_mtime_ns == kept
    before = {path: path.stat().st_mtime_ns for path in files_of(tmp_path / "out")}
    predicted("out")
    assert {path: path.stat().st_mtime_ns for path in files_of(tmp_path / "out")} == before
    assert not (tmp_path / "out" / "converted").exists()
    with pytest.raises(CommandError, match="prior was 'as_trained', now 'real'"):
        predicted("out", prior="real")


def test_images_that_changed_since_a_killed_run_began_are_refused_by_their_name(root, predicted, tmp_path):
    images = shutil.copytree(root / "images", tmp_path / "images")
    shutil.rmtree(images / "label")
    (images / "nevus" / "2.jpg").write_text("no picture")
    with pytest.raises(DataError, match="max_rejected"):
        predicted(input=str(images), max_rejected="0")
    (images / "nevus" / "2.jpg").write_bytes((root / "images" / "nevus" / "5.jpg").read_bytes())
    with pytest.raises(DataError, match=r"nevus/2\.jpg: changed"):
        predicted(input=str(images))


def test_what_cannot_be_read_is_told_and_left_out(classifier, launch, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "good.png").write_bytes(jpeg(picture(1)))
    (tmp_path / "images" / "cut.jpg").write_bytes(jpeg(picture(2))[:500])
    (tmp_path / "images" / "text.png").write_text("no picture")
    settings = {"runs": classifier, "input": tmp_path / "images", "workers": 1}
    result = launch("predict", output=tmp_path / "out", **settings)
    succeed(result)
    assert sum("cut.jpg" in line and "text.png" in line for line in result.stderr.splitlines()) == 1
    assert read(tmp_path / "out" / "predictions.csv").index.tolist() == ["good.png"]
    rejected = pd.read_csv(tmp_path / "out" / "rejected.csv")
    assert rejected["image_name"].tolist() == ["cut.jpg", "text.png"]
    assert "10%" in only_error(launch("predict", output=tmp_path / "few", max_rejected="10%", **settings))
    (tmp_path / "images" / "good.png").write_text("no picture either")
    assert "images: no image" in only_error(launch("predict", output=tmp_path / "none", **settings))


def test_shards_that_a_run_was_trained_on_are_told_of_and_its_test_split_is_not(
    root, classifier, shards, launch, tmp_path
):
    settings = {"runs": classifier, "input": shards}
    trained = launch("predict", output=tmp_path / "train", split="train", **settings)
    succeed(trained)
    (warning,) = [line for line in trained.stderr.splitlines() if "out of fold" in line]
    assert "6 of the 6 shards" in warning
    assert str(classifier / "oof.csv") in warning
    (seen,) = read_report(tmp_path / "train", PredictReport).seen
    assert seen in warning
    tested = launch("predict", output=tmp_path / "test", **settings)
    succeed(tested)
    assert "out of fold" not in tested.stderr
    assert read_report(tmp_path / "test", PredictReport).seen == ()


def test_shards_that_are_stored_otherwise_are_told_of(root, classifier, launch, tmp_path):
    result = launch("predict", runs=classifier, input=root / "shards", output=tmp_path / "out")
    succeed(result)
    (warning,) = [line for line in result.stderr.splitlines() if "quality 70" in line]
    assert "40 px, pad" in warning
    assert "32 px, crop, quality 95" in warning


def test_runs_of_other_classes_are_refused_with_both(root, classifier, predicted, tmp_path):
    with pytest.raises(CommandError, match="benign, malignant.*=1\\+1, label, nevus"):
        predicted(runs=(f"{root}/run", str(classifier)))
    assert not (tmp_path / "out").exists()


def test_without_the_shards_of_a_run_the_way_of_storing_is_asked_for(root, predicted, tmp_path):
    run = shutil.copytree(root / "run", tmp_path / "run")
    (root / "shards").rename(root / "elsewhere")
    try:
        with pytest.raises(CommandError, match="--image_size, --fit and --quality"):
            predicted(runs=(str(run),))
        told = predicted(runs=(str(run),), **STORED)
    finally:
        (root / "elsewhere").rename(root / "shards")
    pd.testing.assert_frame_equal(told, predicted("there"))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"split": "test"}, "--split=test"),
        ({"images": "x"}, "--images=x"),
        ({"input": "{root}/shards", "fit": "crop"}, "--fit"),
        ({"input": "{root}/shards", "split": "test"}, "split test"),
        ({"input": "{root}/run"}, "no images"),
        ({"input": "{root}/nowhere"}, "nowhere"),
        ({"fit": "squeeze"}, "crop, pad, stretch"),
        ({"split": "all"}, "train, test"),
        ({"max_rejected": "many"}, "max_rejected is many"),
        ({"runs": ()}, "--runs"),
    ],
)
def test_what_cannot_be_predicted_is_refused_before_any_work(root, predicted, tmp_path, settings, named):
    given = {name: value.format(root=root) if isinstance(value, str) else value for name, value in settings.items()}
    with pytest.raises(UserError, match=named):
        predicted(**given)
    assert not (tmp_path / "out").exists()


def test_shards_in_a_bucket_are_predicted_as_those_of_this_machine(root, predicted, bucket, launch, tmp_path):
    for path in (root / "shards").iterdir():
        write_atomically(as_path(f"{bucket}/shards/{path.name}"), path.read_bytes())
    local = predicted("local", input=f"{root}/shards")
    remote = predicted("remote", input=f"{bucket}/shards", cache_dir=f"{tmp_path}/cache")
    pd.testing.assert_frame_equal(remote, local)
    (image,) = (root / "images" / "nevus").glob("2.jpg")
    write_atomically(as_path(f"{bucket}/images/{image.name}"), image.read_bytes())
    # By a process of its own, whose workers know of the bucket.
    succeed(launch("predict", runs=root / "run", input=f"{bucket}/images", output=tmp_path / "image", workers=1))
    (row,) = probabilities(read(tmp_path / "image" / "predictions.csv")).to_numpy()
    np.testing.assert_allclose(row, probabilities(local).loc["nevus/2.jpg"], atol=1e-6)


def test_settings_of_a_complete_folder_are_stored_with_its_inputs(root, predicted, tmp_path):
    predicted(input=f"{root}/shards")
    stored = json.loads((tmp_path / "out" / "config.json").read_text())
    assert set(stored["inputs"]) == {"runs, 1", "input"}


def test_the_page_tells_of_classes_networks_and_images_that_were_seen(root, predicted, tmp_path):
    table = predicted(input=f"{root}/shards")
    section = predictions_section(tmp_path / "out", read_report(tmp_path / "out", PredictReport))
    classes, runs = section.items
    counts = table["most_probable_class"].value_counts()
    assert [(row[0], int(row[1])) for row in classes.rows] == [(name, counts.get(name, 0)) for name in CLASSES]
    assert runs.rows == (("run", "2", "1"),)
    assert "out of fold" in section.text
