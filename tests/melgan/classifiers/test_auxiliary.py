import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.auxiliary import NUM_OUTPUTS, auxiliary_losses, auxiliary_targets
from tfrecords_tools.foundation.metadata import CATEGORIES

AGE, SEX, SITE, DIAGNOSIS = 0, slice(1, 3), slice(3, 9), slice(9, 23)


def features(age=-1, sex=-1, site=-1, diagnosis=-1):
    """Returns the features of a batch of one."""
    values = {"age_approx": age, "sex": sex, "anatom_site_general_challenge": site, "diagnosis": diagnosis}
    return {name: tf.constant([value]) for name, value in values.items()}


def test_targets_of_a_known_lesion():
    targets = auxiliary_targets(features(age=50, sex=1, site=3, diagnosis=2))
    assert targets.values.shape == (1, NUM_OUTPUTS) == (1, 23)
    np.testing.assert_allclose(targets.values[0], [0.5] + [0, 1] + [0, 0, 0, 1, 0, 0] + [0, 0, 1] + [0] * 11)
    np.testing.assert_array_equal(targets.known, np.ones((1, 23)))


def test_every_code_of_the_shards_has_an_output():
    assert 1 + sum(len(category.codes) for category in CATEGORIES.values()) == NUM_OUTPUTS
    last = auxiliary_targets(features(diagnosis=max(CATEGORIES["diagnosis"].codes.values()))).values[0, DIAGNOSIS]
    np.testing.assert_array_equal(last, [0] * 13 + [1])


@pytest.mark.parametrize(("age", "expected"), [(0, 0.0), (15, 0.0), (22, 0.1), (85, 1.0), (90, 1.0)])
def test_age_is_scaled_between_15_and_85(age, expected):
    assert float(auxiliary_targets(features(age=age)).values[0, AGE]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("known", "outputs"),
    [
        ({}, None),
        ({"diagnosis": 0}, None),  # the diagnosis "unknown"
        ({"age": 0}, AGE),
        ({"sex": 0}, SEX),
        ({"site": 0}, SITE),
        ({"diagnosis": 1}, DIAGNOSIS),
    ],
)
def test_only_what_is_known_counts(known, outputs):
    targets = auxiliary_targets(features(**known))
    expected = np.zeros(NUM_OUTPUTS)
    if outputs is not None:
        expected[outputs] = 1
    np.testing.assert_array_equal(targets.known[0], expected)
    undecided = auxiliary_losses(tf.zeros([1, NUM_OUTPUTS]), targets)
    np.testing.assert_allclose(undecided, [expected.sum() * np.log(2)], rtol=1e-6)


def test_losses_by_hand():
    """Age 85 with logit 2; female with logits (-1, 3); the logits of what is missing do not matter."""
    logits = np.full((1, NUM_OUTPUTS), 99.0, np.float32)
    logits[0, AGE], logits[0, SEX] = 2.0, (-1.0, 3.0)
    by_hand = np.log1p(np.exp(-2.0)) + np.log1p(np.exp(-1.0)) + np.log1p(np.exp(-3.0))
    np.testing.assert_allclose(
        auxiliary_losses(logits, auxiliary_targets(features(age=85, sex=1))), [by_hand], rtol=1e-5
    )
