import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from melgan.metrics.areas import areas, mean_of_folds
from melgan.metrics.intervals import Interval
from melgan.metrics.resampling import patient_weights, run_weights
from melgan.studies.differences import (
    EQUIVALENT,
    HARMS,
    HELPS,
    UNDECIDED,
    RunDraws,
    Runs,
    compare_family,
    corrected_t_test,
    holm,
)
from melgan.studies.power import detectable_difference, power_of

RESAMPLES = 300


@pytest.fixture(autouse=True)
def one_thread():
    """Products as small as these are no faster with more, which would be in each other's way."""
    with threadpool_limits(1):
        yield


class MadeUp:
    """Patients with one to three images each, whom classifiers score alike but for their luck."""

    def __init__(self, rng, *, patients=300, seeds=3, run_noise=0.15, image_noise=0.6):
        self.rng, self.seeds, self.run_noise, self.image_noise = rng, seeds, run_noise, image_noise
        groups = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
        self.positive = (rng.random(patients) < 0.2)[groups]
        self.folds = groups % 3
        self.truth = self.positive + rng.normal(0, 0.7, patients)[groups] + rng.normal(0, 0.7, len(groups))
        self.weights = patient_weights(groups, self.positive, RESAMPLES, int(rng.integers(2**31)))

    def arm(self, shift=0.0):
        """Areas of every run and resample; `shift` is added to the scores of the class."""
        return np.array([[self._run(shift) for _ in range(self.seeds)]])

    def _run(self, shift):
        luck = self.rng.normal(0, self.run_noise, 3)[self.folds] * self.positive
        scores = self.truth + luck + shift * self.positive + self.rng.normal(0, self.image_noise, len(self.truth))
        return mean_of_folds(areas, self.positive, scores, self.folds, self.weights)

    def compare(self, *shifts):
        baseline, arms = self.arm(), [self.arm(shift) for shift in shifts]
        draws = RunDraws(run_weights(1, RESAMPLES, 1), run_weights(self.seeds, RESAMPLES, 2))
        return compare_family(
            arms, [baseline] * len(arms), [draws] * len(arms), kinds=[str(k) for k in range(len(arms))]
        )


def test_a_single_arm_has_no_less_luck_than_others():
    """Its two runs happen to be equal; those of others differ by a standard deviation of 0.02 of their mean."""
    study, draws = (
        MadeUp(np.random.default_rng(0), seeds=2),
        RunDraws(run_weights(1, RESAMPLES, 1), run_weights(2, RESAMPLES, 2)),
    )
    arm, baseline = (study.arm()[:, :1].repeat(2, axis=1) for _ in range(2))
    luck = Runs(0.02**2, 8, 2)
    (alone,) = compare_family([arm], [baseline], [draws], kinds=["a"])
    (found,) = compare_family([arm], [baseline], [draws], kinds=["a"], least_luck=luck)
    assert alone.spread.classifiers.variance == 0
    assert found.spread.classifiers == luck
    assert found.standard_error**2 == pytest.approx(alone.standard_error**2 + luck.variance)
    assert found.alone.low < alone.alone.low
    noisy = Runs(1e-9, 8, 2)
    (other,) = compare_family([study.arm()], [baseline], [draws], kinds=["a"], least_luck=noisy)
    assert other.spread.classifiers.variance > noisy.variance


def test_an_arm_that_is_its_baseline_makes_no_relevant_difference():
    study = MadeUp(np.random.default_rng(0))
    arm, draws = study.arm(), RunDraws(run_weights(1, RESAMPLES, 1), run_weights(3, RESAMPLES, 2))
    (found,) = compare_family([arm], [arm], [draws], kinds=["a"])
    assert (found.alone, found.p_value) == (Interval(0, 0, 0), 1)
    assert found.verdict(0.01) == EQUIVALENT
    assert found.superiority == Interval(0.5, 0.5, 0.5)


def test_a_sure_difference_within_the_margin_is_not_relevant():
    (found,) = MadeUp(np.random.default_rng(1)).compare(1.0)
    assert found.verdict(0.01) == found.verdict(0.0) == HELPS
    assert found.verdict(1.0) == EQUIVALENT


def test_a_large_gain_helps_and_a_large_loss_harms_and_a_wide_margin_forgives():
    helps, harms, nothing = MadeUp(np.random.default_rng(1)).compare(1.0, -1.0, 0.0)
    assert [found.verdict(0.01) for found in (helps, harms, nothing)] == [HELPS, HARMS, UNDECIDED]
    assert nothing.verdict(0.2) == EQUIVALENT
    assert nothing.is_not_inferior(-nothing.equivalence.low + 1e-6)
    assert not nothing.is_not_inferior(-nothing.equivalence.low - 1e-6)
    assert helps.is_not_inferior(0.001)
    assert (helps.superiority.value, harms.superiority.value) == (1, 0)
    assert helps.p_max_t < 0.01


def test_intervals_for_all_are_wider_than_for_one_and_hold_that_of_equivalence():
    for found in MadeUp(np.random.default_rng(2)).compare(0.0, 0.1, 0.2, 0.3):
        assert found.simultaneous.low < found.alone.low < found.equivalence.low < found.value
        assert found.value < found.equivalence.high < found.alone.high < found.simultaneous.high
        assert found.p_value <= found.p_max_t


@pytest.mark.slow
def test_intervals_of_equal_arms_hold_0_as_often_as_they_say():
    """Of 400 studies in which no arm differs; 95 % less and more than two standard errors, 1.1 %, of the count."""
    studies = [MadeUp(np.random.default_rng(seed)).compare(0, 0, 0, 0) for seed in range(400)]
    one = np.mean([found[0].alone.low <= 0 <= found[0].alone.high for found in studies])
    together = np.mean(
        [all(each.simultaneous.low <= 0 <= each.simultaneous.high for each in found) for found in studies]
    )
    assert 0.93 <= one <= 0.97
    assert 0.93 <= together <= 0.97


@pytest.mark.slow
def test_a_planted_difference_is_found_as_often_as_computed():
    """The shift is that of the whole population: its difference is measured by 60 large studies without luck."""
    shift = 0.25
    quiet = {"patients": 3000, "seeds": 1, "run_noise": 0.0}
    planted = np.mean([MadeUp(np.random.default_rng(seed), **quiet).compare(shift)[0].value for seed in range(60)])
    assert 0.02 < planted < 0.06
    studies = [MadeUp(np.random.default_rng(1000 + seed), seeds=5).compare(shift)[0] for seed in range(200)]
    found = np.mean([each.alone.low > 0 for each in studies])
    computed = np.mean([power_of(planted, each.standard_error, each.spread.degrees_of_freedom) for each in studies])
    assert abs(found - computed) < 0.05


def test_few_runs_widen_an_interval():
    (few,), (many,) = (MadeUp(np.random.default_rng(4), seeds=seeds, run_noise=0.5).compare(0.0) for seeds in (2, 12))
    assert few.spread.degrees_of_freedom < many.spread.degrees_of_freedom
    assert few.alone.high - few.alone.low > many.alone.high - many.alone.low


@pytest.mark.slow
def test_ratios_of_one_generator_are_no_further_generators():
    """Two generators, whose luck all three ratios share: intervals hold 0 as often as they say, or more often."""
    held = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        study, luck = MadeUp(rng), rng.normal(0, 0.03, 2)[:, None, None]
        arms = [np.concatenate([study.arm(), study.arm()]) + luck for _ in range(3)]
        draws = RunDraws(run_weights(2, RESAMPLES, 1), run_weights(3, RESAMPLES, 2))
        found = compare_family(arms, [study.arm()] * 3, [draws] * 3, kinds=["gan"] * 3)
        held.append(
            [
                all(each.simultaneous.low <= 0 <= each.simultaneous.high for each in found),
                found[0].alone.low <= 0 <= found[0].alone.high,
            ]
        )
    assert np.mean(held, axis=0).min() >= 0.93


def test_runs_of_one_generator_tell_nothing_of_another():
    (found,) = MadeUp(np.random.default_rng(5)).compare(0.0)
    assert found.spread.generators.number == 1
    assert found.spread.generators.variance == 0


def test_holm_by_hand():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03]), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])


def test_corrected_t_test_by_hand():
    """Mean 0.02, variance 0.0001 of five folds: t = 0.02 / sqrt((1/5 + 1/4) 0.0001) = 2.98, 4 degrees of freedom."""
    values = 0.02 + 0.01 * np.array([-1, 1, -1, 1, 0])
    assert corrected_t_test(values, 0.2) == pytest.approx(0.0406, abs=2e-4)
    assert np.isnan(corrected_t_test([0.1], 0.5))


def test_power_at_the_detectable_difference_is_80_percent():
    assert power_of(detectable_difference(0.02), 0.02) == pytest.approx(0.80, abs=1e-4)
    assert detectable_difference(0.01) == pytest.approx(0.0280, abs=1e-4)
