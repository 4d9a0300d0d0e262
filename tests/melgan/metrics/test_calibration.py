"""Brier score, calibration error and net benefit by hand."""

import numpy as np
import pytest

from melgan.metrics.calibration import brier_score, calibration_error, equal_mass_bins
from melgan.metrics.net_benefit import net_benefit, net_benefit_at_prior

THREE_OF_TEN = np.arange(10) < 3


def test_three_of_ten_with_thirty_percent_are_calibrated():
    probabilities = np.full(10, 0.3)
    assert calibration_error(THREE_OF_TEN, probabilities) == pytest.approx(0, abs=1e-12)
    assert brier_score(THREE_OF_TEN, probabilities) == pytest.approx(0.21)


def test_sure_and_wrong_is_an_error_of_one():
    assert calibration_error(np.zeros(10, bool), np.ones(10)) == 1.0
    assert brier_score(np.zeros(10, bool), np.ones(10)) == 1.0


def test_the_error_is_the_mean_of_the_bins_by_their_images():
    """Six images with 0.1 of which one is positive, and three with 0.9 of which all are."""
    probabilities, positive = np.array([0.1] * 6 + [0.9] * 3), np.array([True] + [False] * 5 + [True] * 3)
    assert calibration_error(positive, probabilities, num_bins=3) == pytest.approx((6 * (1 / 6 - 0.1) + 3 * 0.1) / 9)


def test_bins_hold_equally_many_images_and_equal_values_share_one():
    assert equal_mass_bins(np.array([0.4, 0.1, 0.3, 0.2]), 2).tolist() == [1, 0, 1, 0]
    assert equal_mass_bins(np.array([0.1, 0.2, 0.2, 0.9]), 2).tolist() == [0, 1, 1, 1]
    counts = np.bincount(equal_mass_bins(np.random.default_rng(0).random(1000) ** 6, 15))
    assert len(counts) == 15
    assert set(counts) == {66, 67}


def test_few_images_have_a_bin_each():
    assert len(set(equal_mass_bins(np.array([0.2, 0.1, 0.4]), 15))) == 3


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.9])
def test_a_perfect_classifier_has_the_fraction_of_the_class_at_every_threshold(threshold):
    assert net_benefit(THREE_OF_TEN, THREE_OF_TEN.astype(float), threshold) == pytest.approx(0.3)


def test_treating_all_is_worth_nothing_at_the_prior():
    assert net_benefit_at_prior(THREE_OF_TEN, np.full(10, 0.3)) == pytest.approx(0, abs=1e-12)
    assert net_benefit(THREE_OF_TEN, np.full(10, 0.5), 0.2) == pytest.approx(0.3 - 0.7 * 0.2 / 0.8)
    assert net_benefit(THREE_OF_TEN, np.full(10, 0.1), 0.2) == 0.0


def test_net_benefit_by_hand():
    """Two of three positives and one of seven negatives are treated, at odds of one to four."""
    probabilities = np.array([0.9, 0.2, 0.1, 0.5, *[0.0] * 6])
    assert net_benefit(THREE_OF_TEN, probabilities, 0.2) == pytest.approx(0.2 - 0.1 / 4)


@pytest.mark.parametrize("positive", [True, False])
def test_without_one_of_the_classes_there_is_no_benefit_at_the_prior(positive):
    assert np.isnan(net_benefit_at_prior(np.full(4, positive), np.full(4, 0.5)))
