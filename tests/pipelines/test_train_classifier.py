"""What train_classifier tells its trainer, and when it stops."""

import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from pipelines import train_classifier
from pipelines.artefacts.classifier_run import TrainClassifierConfig
from pipelines.train_classifier import class_fractions
from tests.pipelines.artefacts.made_up_shards import SHARDS
from tfrecords_tools.foundation.errors import Preempted

CONFIG = TrainClassifierConfig(shards="shards", workdir="run", synthetic=("synthetic",), synthetic_fraction=0.25)


def test_classes_weigh_by_all_images_that_are_shown_by_hand():
    """3 : 1 of the real three quarters; of the synthetic quarter all are of the second class."""
    entries = tuple(replace(shard, class_counts=(0, 9)) for shard in SHARDS.manifest.shards)
    synthetic = replace(SHARDS, manifest=replace(SHARDS.manifest, shards=entries))
    np.testing.assert_allclose(class_fractions(CONFIG, (30, 10), [synthetic]), [9 / 16, 7 / 16])
    np.testing.assert_allclose(class_fractions(CONFIG, (30, 10), [SHARDS, synthetic]), [22.5 / 36, 13.5 / 36], atol=0.1)
    np.testing.assert_allclose(class_fractions(CONFIG, (30, 10), []), [0.75, 0.25])


@pytest.mark.parametrize("sent", [False, True])
def test_a_request_to_stop_in_the_last_step_of_a_fold_is_met_before_its_predictions(monkeypatch, sent):
    predicted = []
    driver = SimpleNamespace(trainer=None, checkpoints=None, config=None, start_step=0)
    training = SimpleNamespace(start=lambda: driver, complete=lambda: predicted.append(True))
    workdir = SimpleNamespace(path=None, writable=True, begin=lambda inputs: None)
    last_step = (lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)) if sent else (lambda *_, **__: None)
    monkeypatch.setattr(train_classifier, "FoldTraining", lambda *_: training)
    monkeypatch.setattr(train_classifier, "run_loop", last_step)
    arguments = (CONFIG, SHARDS, [], 0, None, None, workdir, {})
    if sent:
        with pytest.raises(Preempted, match="fold 0"):
            train_classifier._train_fold(*arguments)
    else:
        train_classifier._train_fold(*arguments)
    assert predicted == ([] if sent else [True])
