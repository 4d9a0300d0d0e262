"""Differences of arms from a baseline: intervals that hold for each and for all together, p-values, and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from melgan.metrics.intervals import Interval
from melgan.studies.power import quantile_of_power

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
      alone: 95 % interval of this difference alone.
      simultaneous: 95 % interval, such that those of the whole family hold together, by max-T.
      equivalence: 90 % interval, which equivalence is read from.
      p_value: of no difference, of this one alone.
      p_max_t, p_holm: adjusted for the family, by max-T (Westfall and Young 1993) or Holm 1979.
      superiority: probability that a run of the arm is better than the run of the baseline with the same seed, with its
        95 % interval (Bouthillier et al. 2021).
      spread: of the variance.
    """

    value: float
    standard_error: float
    alone: Interval
    simultaneous: Interval
    equivalence: Interval
    p_value: float
    p_max_t: float
    p_holm: float
    superiority: Interval
    spread: Spread

    @property
    def detectable(self) -> float:
        """The smallest difference that is found with a power of 80 %, beside all others of the family."""
        return self.simultaneous.high - self.value + quantile_of_power() * self.standard_error

    @property
    def detectable_alone(self) -> float:
        """The same, if this were the only difference that is looked at."""
        return self.alone.high - self.value + quantile_of_power() * self.standard_error

    def is_not_inferior(self, margin: float) -> bool:
        """Returns whether it is not worse by a margin greater than 0, at 5 %, one-sided, of this one alone."""
        return self.equivalence.low > -margin

    def verdict(self, margin: float) -> str:
        """Returns whether the arm helps, harms, makes no relevant difference, or none of these can be said.

        Arguments:
          margin: differences within it are not relevant, even if they are sure; 0: all are.
        """
        if self.is_not_inferior(margin) and self.equivalence.high < margin:
            return EQUIVALENT
        if self.simultaneous.low > 0:
            return HELPS
        return HARMS if self.simultaneous.high < 0 else UNDECIDED


def compare_family(
    arms: Sequence[np.ndarray],
    baselines: Sequence[np.ndarray],
    draws: Sequence[RunDraws],
    *,
    kinds: Sequence[str],
    seed: int = 0,
    least_luck: Runs | None = None,
) -> list[Difference]:
    """Returns the differences of a family of arms from their baselines.

    Arguments:
      arms: a metric of each arm, of every generator, classifier and resample of patients `[G, S, B]`, the first
        resample being the sample itself.
      baselines: the same of the baseline of each `[1, S, B]`, with the same seeds of classifiers.
      draws: of the runs of each arm.
      kinds: of each arm; those of one kind share their generators, and differ in their ratio only.
      seed: of the luck of estimated variances.
      least_luck: of classifiers, by other families, for one that cannot have less: the few runs of a single arm may
        happen to lie near to each other.
    """
    pairs = [arm - baseline for arm, baseline in zip(arms, baselines, strict=True)]
    means = np.stack([drawn.mean(pair) for drawn, pair in zip(draws, pairs, strict=True)])
    spreads = _spreads(pairs, kinds, least_luck)
    errors = np.sqrt([spread.total for spread in spreads])
    # Draws of patients and runs together have the right shape, but count twice what a run does to single patients.
    distances = _divide(np.abs(means[:, 1:] - means[:, :1]), means[:, 1:].std(axis=1)[:, None])
    distances *= _luck_of_variances(spreads, distances.shape[1], seed)
    observed, largest = _divide(np.abs(means[:, 0]), errors), distances.max(axis=0)
    p_values = _p_values(distances, observed)
    p_max_t, p_holm = _p_values(np.broadcast_to(largest, distances.shape), observed), holm(p_values)
    return [
        Difference(
            value=float(means[k, 0]),
            standard_error=float(errors[k]),
            alone=_interval(means[k, 0], errors[k], distances[k], _LEVEL),
            simultaneous=_interval(means[k, 0], errors[k], largest, _LEVEL),
            equivalence=_interval(means[k, 0], errors[k], distances[k], _EQUIVALENCE_LEVEL),
            p_value=float(p_values[k]),
            p_max_t=float(p_max_t[k]),
            p_holm=float(p_holm[k]),
            superiority=_superiority(pairs[k], draws[k]),
            spread=spreads[k],
        )
        for k in range(len(pairs))
    ]


def _interval(value: float, error: float, distances: np.ndarray, level: float) -> Interval:
    """Returns a value with a symmetric interval, by how many standard errors resamples lie from it."""
    reach = error * np.quantile(distances, level)
    return Interval(float(value), float(value - reach), float(value + reach))


def _superiority(pair: np.ndarray, draws: RunDraws) -> Interval:
    """Returns the probability that a run is better than that of the baseline with the same seed, ties half."""
    drawn = draws.mean((pair > 0) + (pair == 0) / 2)
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    return Interval(float(drawn[0]), float(low), float(high))


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


def _spreads(pairs: Sequence[np.ndarray], kinds: Sequence[str], least_luck: Runs | None) -> list[Spread]:
    """Returns the variance of mean differences `[G, S, B]`, whose first resample is the sample.

    A few runs of one arm tell little of their luck: that of classifiers is pooled over the family, and that of
    generators over the arms that share them.
    """
    of_patients = [_variance_of_patients(pair[:, :, 1:]) for pair in pairs]
    classifiers = _pooled([pair[:, :, 0].mean(axis=0) for pair in pairs], len(set(kinds)))
    if least_luck is not None and least_luck.variance > classifiers.variance:
        classifiers = least_luck
    generators = {
        kind: _pooled([pair[:, :, 0].mean(axis=1) for pair, own in zip(pairs, kinds, strict=True) if own == kind], 1)
        for kind in set(kinds)
    }
    return [Spread(patients, generators[kind], classifiers) for patients, kind in zip(of_patients, kinds, strict=True)]


def _variance_of_patients(values: np.ndarray) -> float:
    """Returns the variance by the patients of the mean of runs, from resamples `[G, S, B]` of these.

    How single runs happen to treat single patients is not counted: it makes runs differ too, and is in the variance of
    these. Owen 2007, section 4, on crossed random effects.
    """
    by_runs = (_of_interaction(values.mean(axis=axis)) for axis in (0, 1))
    return max(0.0, float(np.var(values.mean(axis=(0, 1)))) - sum(by_runs))


def _of_interaction(runs: np.ndarray) -> float:
    """Returns the variance of the mean of runs `[R, B]` by how each happens to treat single patients."""
    if len(runs) < 2:
        return 0.0
    return float(np.var(runs - runs.mean(axis=0), axis=1).mean() / (len(runs) - 1))


def _pooled(family: Sequence[np.ndarray], num_kinds: int) -> Runs:
    """Returns the variance of the mean of runs by their luck, from values of the runs of several arms `[R]` each."""
    num_runs = len(family[0])
    if num_runs < 2:
        return Runs(0.0, np.inf, num_runs)
    variance = np.mean([values.var(ddof=1) for values in family]) / num_runs
    # Differences of kinds from one baseline correlate by a half, and their variances by a quarter.
    independent = num_kinds / (1 + (num_kinds - 1) / 4)
    return Runs(float(variance), independent * (num_runs - 1), num_runs)


def _luck_of_variances(spreads: Sequence[Spread], count: int, seed: int) -> np.ndarray:
    """Returns by how much a deviation seems larger `[K, count]`, as its variance is estimated from few runs.

    With it, deviations of a normal distribution become those of Student's t; the luck is the same for all arms.
    """
    quantiles = np.random.default_rng(seed).uniform(size=count)
    return np.stack([_luck(spread.degrees_of_freedom, quantiles) for spread in spreads])


def _luck(degrees_of_freedom: float, quantiles: np.ndarray) -> np.ndarray:
    if np.isinf(degrees_of_freedom):
        return np.ones(len(quantiles))
    return np.sqrt(degrees_of_freedom / scipy.stats.chi2.ppf(quantiles, degrees_of_freedom))


def _divide(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    """Returns quotients; 0 where nothing is divided by nothing, as of an arm that is its baseline."""
    return np.divide(numerators, denominators, out=np.zeros_like(numerators), where=denominators > 0)


def _p_values(distances: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Returns in which fraction of the resamples a distance from the estimate is at least the one observed."""
    reached = np.sum(distances >= observed[:, None], axis=1)
    return (1 + reached) / (1 + distances.shape[1])
