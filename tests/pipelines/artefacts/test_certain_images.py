"""The images of which a classifier is most certain, and what the network of their fold looks at."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from pipelines.artefacts.certain_images import CertainImage, explain, most_certain
from pipelines.artefacts.classifier_run import read_classifier_run
from pipelines.artefacts.comparisons import out_of_fold
from tfrecords_tools.foundation.errors import DataError

PREDICTIONS = pd.DataFrame(
    [
        ("a", 0, 0, 0, 0.7, 0.2, 0.1),
        ("b", 0, 1, 1, 0.6, 0.3, 0.1),
        ("c", 0, 1, 2, 0.0, 0.9, 0.1),
        ("d", 0, 0, 1, 0.1, 0.8, 0.1),
        ("e", 0, 0, 0, 0.3, 0.3, 0.4),
    ],
    columns=["image_name", "patient_id", "fold", "label", "probability x", "probability y", "probability z"],
)


def test_errors_are_in_order_of_the_probability_of_their_wrong_class():
    assert most_certain(PREDICTIONS, 8, right=False) == [
        CertainImage("c", fold=1, label=2, predicted=1, probability=0.9),
        CertainImage("b", fold=1, label=1, predicted=0, probability=0.6),
        CertainImage("e", fold=0, label=0, predicted=2, probability=0.4),
    ]
    assert [image.name for image in most_certain(PREDICTIONS, 2, right=False)] == ["c", "b"]


def test_hits_are_in_order_of_the_probability_of_their_class():
    assert [image.name for image in most_certain(PREDICTIONS, 8, right=True)] == ["d", "a"]


@pytest.mark.slow
def test_images_are_those_that_the_network_of_their_fold_predicted(classifier):
    run = read_classifier_run(classifier)
    predictions = out_of_fold(run)
    of_folds = [predictions[predictions["fold"] == fold] for fold in (1, 0)]
    chosen = [image for table in of_folds for image in most_certain(table, 3, right=True)]
    explained = explain(run, chosen)
    assert [each.certain for each in explained] == chosen
    for each in explained:
        logits = run.load(each.certain.fold)(each.image[None].astype(np.float32), training=False)[0]
        probability = tf.nn.softmax(logits)[0, each.certain.predicted]
        np.testing.assert_allclose(probability, each.certain.probability, atol=1e-5)
        assert each.activation.shape == each.image.shape[:2] == (32, 32)


@pytest.mark.slow
def test_only_the_networks_of_their_folds_are_loaded(classifier, monkeypatch):
    run = read_classifier_run(classifier)
    loaded = []
    load = type(run).load
    monkeypatch.setattr(type(run), "load", lambda self, fold: loaded.append(fold) or load(self, fold))
    predictions = out_of_fold(run)
    explain(run, most_certain(predictions[predictions["fold"] == 1], 2, right=True))
    assert loaded == [1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "named"),
    [({"shards": "/nowhere"}, "/nowhere"), ({"shards_digest": "0" * 64}, "other shards")],
)
def test_shards_that_are_gone_or_others_are_told(classifier, changes, named):
    run = read_classifier_run(classifier)
    moved = replace(run, report=replace(run.report, **changes))
    with pytest.raises(DataError, match=named):
        explain(moved, most_certain(out_of_fold(run), 2, right=True))
