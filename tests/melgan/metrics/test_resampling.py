import numpy as np

from melgan.metrics.resampling import halves, patient_weights, run_weights

GROUPS = np.repeat(np.arange(40), [1, 2, 3, 4] * 10)
POSITIVE = GROUPS < 8


def test_the_first_resample_is_the_sample_and_patients_stay_whole():
    weights = patient_weights(GROUPS, POSITIVE, 200, seed=3)
    assert weights.shape == (201, 100)
    np.testing.assert_array_equal(weights[0], 1)
    for group in range(40):
        np.testing.assert_array_equal(weights[:, group == GROUPS].std(axis=1), 0)


def test_as_many_patients_with_the_class_are_drawn_as_there_are():
    weights = patient_weights(GROUPS, POSITIVE, 200, seed=3)
    first = np.unique(GROUPS, return_index=True)[1]  # an image of each patient
    np.testing.assert_array_equal(weights[:, first[:8]].sum(axis=1), 8)
    np.testing.assert_array_equal(weights[:, first[8:]].sum(axis=1), 32)
    assert weights[1:, first].std(axis=0).min() > 0.5


def test_the_mean_of_drawn_runs_varies_as_that_of_new_ones_would():
    values = np.array([1.0, 2.0, 6.0])
    weights = run_weights(3, 50_000, seed=0)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    means = weights @ values
    assert means[0] == 3.0
    assert np.isclose(means[1:].var(), values.var(ddof=1) / 3, rtol=0.03)  # 7 / 3


def test_a_single_run_tells_nothing_of_its_luck():
    np.testing.assert_array_equal(run_weights(1, 5, seed=0), 1)


def test_halves_have_half_of_the_patients_of_each_kind_and_patients_stay_whole():
    is_first = halves(GROUPS, POSITIVE, seed=1)
    in_first = np.unique(GROUPS[is_first])
    assert not set(in_first) & set(GROUPS[~is_first])
    assert [np.sum(in_first < 8), np.sum(in_first >= 8)] == [4, 16]
