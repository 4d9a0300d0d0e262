"""Differences of arms from a baseline: intervals that hold for each and for all together, p-values, and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

HELPS, HARMS, EQUIVALENT, UNDECIDED = "helps", "harms", "no relevant difference", "undecided"
_LEVEL, _EQUIVALENCE_LEVEL = 0.95, 0.90


@dataclass(frozen=True)
class RunDraws:
    """The weight of each run in each resample: of generators `[B, G]` and of classifiers `[B, S]`."""

    generators: np.ndarray
    classifiers: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Returns the mean over the runs that are drawn `[B]` of values of every run and resample `[G, S, B]`."""
        return np.einsum("gsb,bg,bs->b", values, self.generators, self.classifiers)


@dataclass(frozen=True)
class Runs:
    """The variance of the mean of some runs by the luck of their seeds, its degrees of freedom, and their number."""

    variance: float
    degrees_of_freedom: float
    number: int

    @property
    def deviation_of_one(self) -> float:
        """The standard deviation of a single run."""
        return float(np.sqrt(self.variance * self.number))


NO_RUNS = Runs(0.0, np.inf, 1)


@dataclass(frozen=True)
class Spread:
    """The variance of a difference by its sources: patients, with how runs happen to treat each, and luck of runs."""

    patients: float
    generators: Runs
    classifiers: Runs

    @property
    def total(self) -> float:
        """The variance of the difference."""
        return self.patients + self.generators.variance + self.classifiers.variance

    @property
    def degrees_of_freedom(self) -> float:
        """Of the variance, by Satterthwaite 1946; infinite where runs do not differ, or there is one of each."""
        uncertain = sum(runs.variance**2 / runs.degrees_of_freedom for runs in (self.generators, self.classifiers))
        return self.total**2 / uncertain if uncertain else np.inf


@dataclass(frozen=True)
class Difference:
    """The difference of an arm from its baseline.

    Attributes:
      value: estimate.
      standard_error: by patients and runs together.
      low, high: 95 % interval of this difference alone.
      low_simultaneous, high_simultaneous: 95 % intervals that hold for the whole family together, by max-T.
      low_equivalence, high_equivalence: 90 % interval, which equivalence is read from.
      p_value: of no difference, of this one alone.
      p_max_t, p_holm: adjusted for the family, by max-T (Westfall and Young 1993) or Holm 1979.
      superiority, superiority_low, superiority_high: probability that a run of the arm is better than the run of the
        baseline with the same seed, and its 95 % interval (Bouthillier et al. 2021).
      spread: of the variance.
    """

    value: float
    standard_error: float
    low: float
    high: float
    low_simultaneous: float
    high_simultaneous: float
    low_equivalence: float
    high_equivalence: float
    p_value: float
    p_max_t: float
    p_holm: float
    superiority: float
    superiority_low: float
    superiority_high: float
    spread: Spread

    def verdict(self, margin: float) -> str:
        """Returns whether the arm helps, harms, makes no relevant difference, or none of these can be said.

        Arguments:
          margin: differences within it are not relevant.
        """
        if self.low_simultaneous > 0:
            return HELPS
        if self.high_simultaneous < 0:
            return HARMS
        if -margin < self.low_equivalence and self.high_equivalence < margin:
            return EQUIVALENT
        return UNDECIDED


def compare_family(
    arms: Sequence[np.ndarray], baselines: Sequence[np.ndarray], draws: Sequence[RunDraws]
) -> list[Difference]:
    """Returns the differences of a family of arms from their baselines.

    Arguments:
      arms: a metric of each arm, of every generator, classifier and resample of patients `[G, S, B]`, the first
        resample being the sample itself.
      baselines: the same of the baseline of each `[1, S, B]`, with the same seeds of classifiers.
      draws: of the runs of each arm.
    """
    pairs = [arm - baseline for arm, baseline in zip(arms, baselines, strict=True)]
    means = np.stack([drawn.mean(pair) for drawn, pair in zip(draws, pairs, strict=True)])
    spreads = _spreads(pairs)
    errors = np.array([np.sqrt(spread.total) * _widening(spread.degrees_of_freedom) for spread in spreads])
    # Draws of patients and runs together have the right shape, but count twice what a run does to single patients.
    distances = _divide(np.abs(means[:, 1:] - means[:, :1]), means[:, 1:].std(axis=1)[:, None])
    observed, largest = _divide(np.abs(means[:, 0]), errors), distances.max(axis=0)
    p_values = _p_values(distances, observed)
    p_max_t, p_holm = _p_values(np.broadcast_to(largest, distances.shape), observed), holm(p_values)
    found = []
    for k, (value, pair) in enumerate(zip(means[:, 0], pairs, strict=True)):
        own, equivalence = np.quantile(distances[k], [_LEVEL, _EQUIVALENCE_LEVEL]) * errors[k]
        together = np.quantile(largest, _LEVEL) * errors[k]
        superiority = draws[k].mean((pair > 0) + (pair == 0) / 2)
        low, high = np.quantile(superiority[1:], [0.025, 0.975])
        found.append(
            Difference(
                value=float(value),
                standard_error=float(errors[k]),
                low=float(value - own),
                high=float(value + own),
                low_simultaneous=float(value - together),
                high_simultaneous=float(value + together),
                low_equivalence=float(value - equivalence),
                high_equivalence=float(value + equivalence),
                p_value=float(p_values[k]),
                p_max_t=float(p_max_t[k]),
                p_holm=float(p_holm[k]),
                superiority=float(superiority[0]),
                superiority_low=float(low),
                superiority_high=float(high),
                spread=spreads[k],
            )
        )
    return found


def holm(p_values: Sequence[float]) -> np.ndarray:
    """Returns p-values `[K]` adjusted for a family. Holm 1979."""
    values = np.asarray(p_values, np.float64)
    order = np.argsort(values)
    adjusted = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    found = np.empty(len(values))
    found[order] = np.minimum(adjusted, 1)
    return found


def corrected_t_test(of_folds: Sequence[float], test_fraction: float) -> float:
    """Returns the p-value of no difference by the folds alone. Nadeau and Bengio 2003, section 3.

    Arguments:
      of_folds: the difference in each of J folds `[J]`.
      test_fraction: of the images that a fold is evaluated by, less than 1.

    Returns:
      Two-sided; NaN with fewer than two folds, or where all are equal.
    """
    values = np.asarray(of_folds, np.float64)
    if len(values) < 2 or np.ptp(values) == 0:
        return float("nan")
    variance = (1 / len(values) + test_fraction / (1 - test_fraction)) * values.var(ddof=1)
    return float(2 * scipy.stats.t.sf(abs(values.mean()) / np.sqrt(variance), len(values) - 1))


def _spreads(pairs: Sequence[np.ndarray]) -> list[Spread]:
    """Returns the variance of mean differences `[G, S, B]`, whose first resample is the sample.

    That of runs is pooled over the family, as a few runs of one arm tell little of their luck.
    """
    generators = _pooled([pair.mean(axis=1) for pair in pairs if len(pair) > 1])
    classifiers = _pooled([pair.mean(axis=0) for pair in pairs])
    of_patients = [float(np.var(pair[:, :, 1:].mean(axis=(0, 1)))) for pair in pairs]
    return [
        Spread(patients, generators if len(pair) > 1 else NO_RUNS, classifiers)
        for patients, pair in zip(of_patients, pairs, strict=True)
    ]


def _pooled(family: Sequence[np.ndarray]) -> Runs:
    """Returns the variance of the mean of runs by their luck, from the runs of several arms `[R, B]`.

    How a run treats single patients is counted here and among the variance of the patients, which errs on the safe
    side. Owen 2007, section 4, on crossed random effects.
    """
    num_runs = len(family[0]) if family else 1
    if num_runs < 2:
        return NO_RUNS
    variance = np.mean([values[:, 0].var(ddof=1) for values in family]) / num_runs
    # Differences from one baseline correlate by a half, and their variances by a quarter.
    independent = len(family) / (1 + (len(family) - 1) / 4)
    return Runs(float(variance), independent * (num_runs - 1), num_runs)


def _widening(degrees_of_freedom: float) -> float:
    """Returns how much wider few runs make an interval than the normal distribution says."""
    return float(scipy.stats.t.ppf(0.975, degrees_of_freedom) / scipy.stats.norm.ppf(0.975))


def _divide(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Returns quotients; 0 where nothing is divided by nothing, as of an arm that is its baseline."""
    return np.divide(numerators, denominators, out=np.zeros_like(numerators), where=denominators > 0)


def _p_values(distances: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Returns in which fraction of the resamples a distance from the estimate is at least the one observed."""
    reached = np.sum(distances >= observed[:, None], axis=1)
    return (1 + reached) / (1 + distances.shape[1])
