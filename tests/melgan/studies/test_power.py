import numpy as np
import pytest

from melgan.studies.power import (
    area_standard_error,
    detectable_difference,
    power_of,
    standard_error_of_difference,
)


def test_standard_error_of_hanley_and_mcneil():
    """By hand: q1 0.6, q2 0.642857; (0.1875 + 0.6 - 0.5625 + 0.642857 - 0.5625) / 4 = 0.07634."""
    assert area_standard_error(0.75, 2, 2) == pytest.approx(0.07634**0.5, abs=1e-5)


@pytest.mark.parametrize(
    ("area", "positives", "negatives", "error"), [(0.77, 433, 1743, 0.014), (0.92, 584, 32542, 0.0078)]
)
def test_standard_errors_of_known_sets(area, positives, negatives, error):
    assert area_standard_error(area, positives, negatives) == pytest.approx(error, rel=0.05)


def test_areas_that_correlate_show_smaller_differences():
    errors = [standard_error_of_difference(0.77, 433, 1743, correlation) for correlation in (0.8, 0.9, 0.95)]
    assert [detectable_difference(error) for error in errors] == pytest.approx([0.025, 0.018, 0.012], abs=1e-3)


def test_power_is_that_of_students_t():
    """2.8 standard errors have a power of 80 %; with few runs, by simulation, less: the error is not known."""
    assert power_of(2.802, 1.0) == pytest.approx(0.8, abs=1e-3)
    assert power_of(0.0, 1.0) == pytest.approx(0.05, abs=1e-6)
    rng = np.random.default_rng(0)
    found = (2.802 + rng.normal(size=200_000)) / np.sqrt(rng.chisquare(4, size=200_000) / 4)
    assert power_of(2.802, 1.0, 4) == pytest.approx((np.abs(found) > 2.776).mean(), abs=5e-3)


def test_a_family_needs_larger_differences():
    assert detectable_difference(0.01, family=5) == pytest.approx(0.0342, abs=1e-4)  # (2.576 + 0.842) / 100
