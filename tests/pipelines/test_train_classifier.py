"""What train_classifier tells its trainer, and when it stops."""

import os
import signal
from types import SimpleNamespace

import pandas as pd
import pytest

from pipelines import train_classifier
from pipelines.artefacts.classifier_run import ClassifierReport, TrainClassifierConfig
from pipelines.contract.workdir import read_report
from pipelines.training.opening import Opened
from tfrecords_tools.foundation.errors import CommandError, Preempted

CONFIG = TrainClassifierConfig(shards="shards", workdir="run", synthetic=("synthetic",), synthetic_fraction=0.25)


def test_the_mix_of_a_training_is_written_down_with_that_of_its_real_images(classifier, mixed_classifier):
    """A fifth of what the mixed one sees are malignant synthetic images."""
    plain, mixed = (read_report(folder, ClassifierReport).priors for folder in (classifier, mixed_classifier))
    assert set(plain) == {"0", "1"}
    assert plain["0"].trained == pytest.approx(plain["0"].real)
    assert sum(plain["0"].real) == pytest.approx(1)
    assert mixed["0"].real == plain["0"].real
    assert mixed["0"].trained == pytest.approx([0.8 * plain["0"].real[0], 0.8 * plain["0"].real[1] + 0.2])


def test_public_notebooks_find_out_of_fold_predictions_as_they_know_them(classifier):
    own, known = (pd.read_csv(classifier / name) for name in ("oof.csv", "oof_kaggle.csv"))
    assert known.columns.tolist() == ["image_name", "target", "pred", "fold"]
    assert known["pred"].tolist() == own["probability malignant"].tolist()
    assert known["target"].tolist() == own["label"].tolist()


def test_a_target_that_is_no_class_is_refused_before_any_work(shards, tmp_path):
    config = TrainClassifierConfig(shards=str(shards), workdir=str(tmp_path / "run"), target="cancer")
    with pytest.raises(CommandError, match="--target=cancer.*benign, malignant"):
        train_classifier.run(config)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("sent", [False, True])
def test_a_request_to_stop_in_the_last_step_of_a_fold_is_met_before_its_predictions(monkeypatch, sent):
    predicted = []
    driver = SimpleNamespace(trainer=None, checkpoints=None, config=None, start_step=0)
    training = SimpleNamespace(start=lambda: driver, complete=lambda: predicted.append(True))
    workdir = SimpleNamespace(path=None, writable=True, begin=lambda inputs: None)
    mirror = SimpleNamespace(folder=None, fetch=lambda: None)
    last_step = (lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)) if sent else (lambda *_, **__: None)
    monkeypatch.setattr(train_classifier, "FoldTraining", lambda *_: training)
    monkeypatch.setattr(train_classifier, "run_loop", last_step)
    opened = Opened(workdir, mirror, strategy=None, track=lambda: None)
    arguments = (CONFIG, SimpleNamespace(digests={}), 0, opened)
    if sent:
        with pytest.raises(Preempted, match="fold 0"):
            train_classifier._train_fold(*arguments)
    else:
        train_classifier._train_fold(*arguments)
    assert predicted == ([] if sent else [True])
