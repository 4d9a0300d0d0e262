import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from melgan.classifiers.linear import LinearTraining, scaling_of, train_linear


@pytest.fixture(scope="module")
def data():
    """Two classes of which the first three of 20 features tell a little, to train on and to test."""
    rng = np.random.default_rng(0)
    positive = rng.random(2000) < 0.1
    features = rng.normal(size=(2000, 20)) * 5 + 3
    features[:, :3] += 5 * positive[:, None]
    scaling = scaling_of(features[:1000])
    return scaling(features), positive


def area(data, training, seed=0):
    features, positive = data
    classifier = train_linear(features[:1000], positive[:1000], training, seed)
    return roc_auc_score(positive[1000:], classifier.decision_function(features[1000:]))


def test_features_are_scaled_to_mean_0_and_deviation_1(data):
    np.testing.assert_allclose(data[0][:1000].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(data[0][:1000].std(axis=0), 1)


def test_a_feature_that_never_changes_stays_finite():
    assert np.isfinite(scaling_of(np.ones((5, 2)))(np.ones((3, 2)))).all()


def test_it_is_as_good_as_a_logistic_regression(data):
    features, positive = data
    exact = LogisticRegression(C=0.01).fit(features[:1000], positive[:1000])
    expected = roc_auc_score(positive[1000:], exact.decision_function(features[1000:]))
    assert area(data, LinearTraining(20_000, 0.1)) == pytest.approx(expected, abs=0.01)


def test_it_sees_as_many_images_as_it_is_told(data):
    features, positive = data
    classifier = train_linear(features[:1000], positive[:1000], LinearTraining(2500, 0.1), 0)
    assert classifier.t_ == 1 + 2500


def test_the_seed_decides(data):
    training = LinearTraining(1500, 0.1)
    assert area(data, training, 1) == area(data, training, 1) != area(data, training, 2)
