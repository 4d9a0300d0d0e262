"""What a classifier learns from beside labels: metadata, diagnoses, unlabelled images, and a teacher."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import make_submission, train_classifier
from pipelines.artefacts.certain_images import explain, most_certain
from pipelines.artefacts.classifier_run import ClassifierReport, TrainClassifierConfig, open_classifier_run
from pipelines.artefacts.comparisons import out_of_fold
from pipelines.contract.workdir import read_report
from pipelines.make_submission import MakeSubmissionConfig
from tests.pipelines.conftest import CLASSIFIER, PHANTOM, only_error, picture, start_command, succeed
from tfrecords_tools.foundation.errors import CommandError, ConfigError

pytestmark = pytest.mark.slow

EVERYTHING = {
    "metadata": "film",
    "diagnoses": 3,
    "labelled_fraction": 0.5,
    "semi_supervised": "mixmatch",
    "unlabelled": "hidden,test",
    "balanced_head": True,
    "batch_size": 16,
}


@pytest.fixture(scope="module")
def everything(line, shards, launch) -> Path:
    """A run that learns from metadata, diagnoses, and unlabelled images of two kinds."""
    folder = line.root / "everything"
    succeed(launch("train_classifier", shards=shards, workdir=folder, **{**CLASSIFIER, **EVERYTHING}))
    return folder


def config_of(shards, folder, **settings) -> TrainClassifierConfig:
    folders = {"shards": str(shards), "workdir": str(folder), "folds": ("0",), "deterministic": False}
    return TrainClassifierConfig(**{**CLASSIFIER, **folders, **settings})


def test_such_a_run_tells_its_classes_its_target_and_that_it_has_looked_at_test_images(everything, classifier):
    report = read_report(everything, ClassifierReport)
    assert report.classes == ("melanoma", "nevus", "other")
    assert (report.target, report.transductive) == ("melanoma", True)
    plain = read_report(classifier, ClassifierReport)
    assert (plain.target, plain.transductive) == ("malignant", False)
    own, other = (pd.read_csv(folder / "oof_kaggle.csv") for folder in (everything, classifier))
    pd.testing.assert_frame_equal(own[["image_name", "target", "fold"]], other[["image_name", "target", "fold"]])


def test_a_run_killed_in_the_middle_ends_as_the_undisturbed_one(everything, shards, tmp_path, launch):
    """After the first epoch of the second fold."""
    folder, settings = tmp_path / "killed", {**CLASSIFIER, **EVERYTHING}
    process = start_command("train_classifier", tmp_path / "log", shards=shards, workdir=folder, **settings)
    while process.poll() is None and not list(folder.glob("fold1/checkpoints/*.index")):
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    succeed(launch("train_classifier", shards=shards, workdir=folder, **settings))
    for name in ("oof.csv", "fold0/predictions.csv", "fold1/predictions.csv"):
        assert (folder / name).read_bytes() == (everything / name).read_bytes()


def test_runs_of_other_class_tables_are_one_ensemble(everything, classifier, tmp_path):
    runs = (str(everything), str(classifier))
    for ensemble in ("rank", "fitted"):
        config = MakeSubmissionConfig(runs=runs, output=str(tmp_path / ensemble), ensemble=ensemble)
        make_submission.run(config)
        table = pd.read_csv(tmp_path / ensemble / "submission.csv")
        assert table["target"].between(0, 1).all()
    report = json.loads((tmp_path / "rank" / "report.json").read_text())
    assert report["label"] == "melanoma, malignant"
    with pytest.raises(CommandError, match="--label=malignant: .*melanoma, nevus, other"):
        make_submission.run(MakeSubmissionConfig(runs=runs, output=str(tmp_path / "no"), label="malignant"))


def test_such_a_run_predicts_and_shows_what_it_looks_at(everything, shards, tmp_path, launch):
    succeed(launch("predict", runs=everything, input=shards, output=tmp_path / "predicted"))
    table = pd.read_csv(tmp_path / "predicted" / "predictions.csv")
    columns = [f"probability {name}" for name in ("melanoma", "nevus", "other")]
    np.testing.assert_allclose(table[columns].sum(axis=1), 1, atol=1e-5)
    run = open_classifier_run(str(everything), "runs")
    certain = most_certain(out_of_fold(run), 2, right=True)
    for explained in explain(run, certain):
        assert explained.activation.shape == (32, 32)
        assert explained.activation.max() <= 1


def test_classes_that_are_not_the_same_images_are_no_ensemble(everything, classifier, shards, tmp_path):
    nevi = tmp_path / "nevi"
    train_classifier.run(config_of(shards, nevi, diagnoses=3, target="nevus", epochs=1))
    for ensemble in ("mean", "fitted"):
        config = MakeSubmissionConfig(
            runs=(str(nevi), str(classifier)), output=str(tmp_path / "out"), ensemble=ensemble
        )
        with pytest.raises(CommandError, match="nevus.*malignant"):
            make_submission.run(config)


def test_a_teacher_is_asked_what_it_thinks_of_synthetic_images(shards, synthetic, classifier, tmp_path):
    config = config_of(
        shards,
        tmp_path / "run",
        synthetic=(str(synthetic),),
        synthetic_fraction=0.25,
        synthetic_targets="soft",
        teacher=str(classifier),
        epochs=1,
    )
    train_classifier.run(config)
    answers = pd.read_csv(tmp_path / "run" / "fold0" / "teacher_on_synthetic.csv")
    assert len(answers) == 30
    np.testing.assert_allclose(answers.iloc[:, 1:].sum(axis=1), 1, atol=2e-6)
    priors = read_report(tmp_path / "run", ClassifierReport).priors["0"]
    expected = 0.75 * np.array(priors.real) + 0.25 * answers.iloc[:, 1:].mean().to_numpy()
    np.testing.assert_allclose(priors.trained, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"synthetic_targets": "agree", "synthetic": ("s",), "synthetic_fraction": 0.2}, "--teacher"),
        ({"synthetic_targets": "soft", "teacher": "t"}, "--synthetic"),
        ({"semi_supervised": "fixmatch"}, "--unlabelled"),
        ({"unlabelled": ("test",)}, "--semi_supervised"),
        ({"metadata": "concat", "synthetic": ("s",), "synthetic_fraction": 0.2}, "--metadata_for_synthetic=draw"),
        ({"diagnoses": 5}, "diagnoses is 5"),
        ({"labelled_fraction": 0.0}, "labelled_fraction is 0.0"),
        ({"labelled_fraction": 0.5, "synthetic": ("s",), "synthetic_fraction": 0.2}, "--synthetic"),
        ({"labelled_fraction": 0.5, "backbone": "discriminator:gan"}, "discriminator"),
        ({"balanced_head": True, "teacher": "t", "distillation_weight": 0.5}, "balanced_head is True"),
        ({"semi_supervised": "fixmatch", "unlabelled": ("test",), "augmentation": "none"}, "augmentation is none"),
    ],
)
def test_settings_that_make_no_sense_without_each_other_are_refused(settings, said):
    with pytest.raises((CommandError, ConfigError), match=said):
        config_of("shards", "run", **settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"semi_supervised": "fixmatch", "unlabelled": ("hidden",)}, "--labelled_fraction"),
        ({"diagnoses": 3, "target": "malignant"}, "--target=malignant: .*melanoma, nevus, other"),
    ],
)
def test_what_the_shards_do_not_have_is_refused_before_any_work(shards, tmp_path, settings, said):
    with pytest.raises(CommandError, match=said):
        train_classifier.run(config_of(shards, tmp_path / "run", **settings))
    assert not (tmp_path / "run").exists()


def test_unlabelled_images_that_a_fold_is_validated_on_are_refused(shards, synthetic, tmp_path, launch):
    """The same images in other folds, and images of a generator that has seen those of fold 1."""
    succeed(launch("make_shards", output=tmp_path / "shards", **{**PHANTOM, "num_shards": 4}))
    method = {"semi_supervised": "fixmatch", "epochs": 1}
    for folder in (shards, tmp_path / "shards"):
        with pytest.raises(CommandError, match=f"--unlabelled={folder}: .*hold"):
            train_classifier.run(config_of(shards, tmp_path / "run", unlabelled=(str(folder),), **method))
    with pytest.raises(CommandError, match=f"{synthetic}.*leaks"):
        train_classifier.run(
            config_of(shards, tmp_path / "run", **{**method, "unlabelled": (str(synthetic),), "folds": ("1",)})
        )


def test_labels_that_are_hidden_are_not_learned_from_those_who_know_them(shards, classifier, tmp_path):
    taught = {"teacher": str(classifier), "distillation_weight": 0.5}
    begun = {"weights": f"{classifier}/fold0/best.weights.h5"}
    for settings in (taught, begun):
        with pytest.raises(CommandError, match="--labelled_fraction=1.0.*--labelled_fraction=0.5"):
            train_classifier.run(config_of(shards, tmp_path / "run", labelled_fraction=0.5, **settings))


def test_the_balanced_head_is_of_classes_that_weigh_the_same(everything, classifier):
    """What brings its probabilities back to the mix of the real images."""
    priors = read_report(everything, ClassifierReport).priors["0"]
    np.testing.assert_allclose(priors.trained, [1 / 3] * 3)
    assert priors.real[0] < 0.2
    assert read_report(classifier, ClassifierReport).priors["0"].trained[1] < 0.2


def test_what_was_learned_from_without_labels_was_seen(shards, classifier, tmp_path, launch):
    """Another data set, whose shards a teacher has learned from: it may not teach those who are validated there."""
    other, teacher = tmp_path / "other", tmp_path / "teacher"
    succeed(launch("make_shards", output=other, **{**PHANTOM, "seed": 5}))
    method = {"semi_supervised": "pseudo_label", "unlabelled": (str(other),), "epochs": 1}
    train_classifier.run(config_of(shards, teacher, **method))
    taught = {"teacher": str(teacher), "distillation_weight": 0.5}
    with pytest.raises(CommandError, match="--teacher=.*without their labels.*hold"):
        train_classifier.run(config_of(other, tmp_path / "run", **taught))


def test_labels_hidden_from_others_are_no_reason_to_trust_them(shards, tmp_path):
    """Of other classes or another fold, other labels were hidden."""
    few = {"labelled_fraction": 0.5, "epochs": 1}
    train_classifier.run(config_of(shards, tmp_path / "few", **few))
    begun = {**few, "weights": f"{tmp_path / 'few'}/fold0/best.weights.h5"}
    for settings in ({"diagnoses": 2}, {"folds": ("0", "1")}):
        with pytest.raises(CommandError, match="--weights=.*other"):
            train_classifier.run(config_of(shards, tmp_path / "run", **{**begun, **settings}))
    train_classifier.run(config_of(shards, tmp_path / "same", **begun))


def test_a_user_gets_one_line(shards, tmp_path, launch):
    result = launch(
        "train_classifier", shards=shards, workdir=tmp_path / "run", semi_supervised="fixmatch", unlabelled="hidden"
    )
    assert "--labelled_fraction" in only_error(result)


@pytest.fixture(scope="module")
def merged(line, shards, launch) -> Path:
    """Shards of two data sets, whose images have names of their own."""
    images = line.root / "own_images"
    for number in range(40):
        path = images / ("malignant" if number % 4 == 0 else "benign") / f"own{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    inputs = f"{shards.with_name('shards_images')},{images}"
    folder = line.root / "merged"
    settings = {"source": "phantom,image_folder", "input": inputs, "image_size": 32, "num_images": 240, "num_shards": 4}
    succeed(launch("make_shards", output=folder, **settings))
    return folder


def test_a_data_set_for_training_only_is_learned_from_and_never_validated_on(merged, tmp_path, launch):
    settings = {**CLASSIFIER, "epochs": 1, "shards": merged}
    for name, others in (("both", {}), ("one", {"train_only_source": "image_folder"})):
        succeed(launch("train_classifier", workdir=tmp_path / name, **settings, **others))
    both, one = (pd.read_csv(tmp_path / name / "oof.csv") for name in ("both", "one"))
    assert set(both["source"]) == {"phantom", "image_folder"}
    assert set(one["source"]) == {"phantom"}
    assert set(one["image_name"]) == set(both["image_name"][both["source"] == "phantom"])
    reports = [read_report(tmp_path / name, ClassifierReport) for name in ("both", "one")]
    assert [report.images for report in reports] == [len(both), len(one)]
    assert reports[0].priors == reports[1].priors  # learned from alike
    of_source = {each.value: each for each in reports[0].subgroups if each.property == "source"}
    assert of_source["image_folder"].images == 40
    assert of_source["image_folder"].positives == 10
    assert "source" not in {each.property for each in reports[1].subgroups}
    table = pd.read_csv(tmp_path / "one" / "subgroups.csv")
    assert set(table["property"]) >= {"sex", "age_approx"}
    assert table.loc[table["property"] == "sex", "images"].sum() == len(one)


def test_data_sets_that_are_not_there_or_are_all_are_refused(merged, tmp_path):
    for names, told in ((("isic2019",), "phantom, image_folder"), (("phantom", "image_folder"), "fold 0")):
        with pytest.raises(CommandError, match=told):
            train_classifier.run(config_of(merged, tmp_path / "no", train_only_source=names))
