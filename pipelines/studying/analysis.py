"""From the scores of all arms to the results of a study: metrics, differences with verdicts, best ratios."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from melgan.metrics.areas import WeightedMetric, areas, mean_of_folds, of_each_fold, sensitivities
from melgan.metrics.delong import mean_area
from melgan.metrics.resampling import halves, patient_weights, run_weights
from melgan.studies.arms import AGAINST_IMITATION, CONTROL, NONE, Arm
from melgan.studies.choosing import cross_fitted_choice
from melgan.studies.differences import Difference, RunDraws, Runs, compare_family, corrected_t_test
from pipelines.artefacts.study import AUC, SENSITIVITY, ArmResult, BestRatio, Comparison, StudyConfig
from pipelines.studying.design import Design
from pipelines.studying.real_images import RealImages
from pipelines.studying.scores import ArmScores


@dataclass(frozen=True)
class Analysis:
    """The analysis of the scores of all arms.

    Attributes:
      design: of the study.
      real: all real images.
      scores: of each arm by its name.
    """

    design: Design
    real: RealImages
    scores: Mapping[str, ArmScores]

    @property
    def config(self) -> StudyConfig:
        """The settings of the study."""
        return self.design.config

    @property
    def arms(self) -> Sequence[Arm]:
        """The arms of the study."""
        return self.design.arms

    @cached_property
    def results(self) -> tuple[ArmResult, ...]:
        """The metrics of each arm."""
        return tuple(map(self._result, self.arms))

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The differences of each arm from its baseline, and of synthetic arms from repeated real images, by family."""
        families: dict[str, list[tuple[Arm, str]]] = {}
        for arm in self.arms:
            if arm.baseline:
                families.setdefault(arm.family, []).append((arm, arm.baseline))
        families[AGAINST_IMITATION] = [(arm, arm.imitation) for arm in self.arms if arm.is_synthetic]
        found = []
        for metric in self._metrics:
            controls = self._compare(CONTROL, families[CONTROL], metric)
            luck = controls[0].difference.spread.classifiers  # pooled over all of them
            for family, pairs in families.items():
                least_luck = luck if len(pairs) == 1 else None
                found += controls if family == CONTROL else self._compare(family, pairs, metric, least_luck)
        return tuple(found)

    @cached_property
    def best_ratios(self) -> tuple[BestRatio, ...]:
        """For each method of several ratios, the ratio that half of the patients choose, and its worth."""
        if len(self.config.ratio_values) < 2:
            return ()
        is_first = halves(self.real.groups, self.real.positive, self.config.seed + 3)
        by_half = [self._weights * half.astype(np.float32) for half in (is_first, ~is_first)]
        baselines = [_evaluate_runs(areas, self.real, self.scores[NONE].scores, weights) for weights in by_half]
        return tuple(self._best_ratio(method, by_half, baselines) for method in self.design.methods)

    @cached_property
    def _weights(self) -> np.ndarray:
        """The weight of each image in each resample of patients `[B, N]`."""
        return patient_weights(self.real.groups, self.real.positive, self.config.resamples, self.config.seed)

    @cached_property
    def _metrics(self) -> dict[str, WeightedMetric]:
        return {AUC: areas, SENSITIVITY: partial(sensitivities, specificity=self.config.specificity)}

    @cached_property
    def _values(self) -> dict[str, dict[str, np.ndarray]]:
        """Each metric of each arm, of every run and resample `[G, S, B]`."""
        return {
            name: {
                arm.name: _evaluate_runs(metric, self.real, self.scores[arm.name].scores, self._weights)
                for arm in self.arms
            }
            for name, metric in self._metrics.items()
        }

    def _draws(self, num_generators: int) -> RunDraws:
        seed, count = self.config.seed, self.config.resamples
        return RunDraws(run_weights(num_generators, count, seed + 1), run_weights(self.config.seeds, count, seed + 2))

    def _compare(
        self, family: str, pairs: Sequence[tuple[Arm, str]], metric: str, least_luck: Runs | None = None
    ) -> list[Comparison]:
        """Returns the comparisons of a family of arms, each with the name of its baseline."""
        values = self._values[metric]
        treated = [values[arm.name] for arm, _ in pairs]
        differences = compare_family(
            treated,
            [values[baseline] for _, baseline in pairs],
            [self._draws(len(each)) for each in treated],
            kinds=[arm.kind for arm, _ in pairs],
            seed=self.config.seed + 4,
            least_luck=least_luck,
        )
        return [
            self._comparison(family, (arm.name, baseline), metric, difference)
            for (arm, baseline), difference in zip(pairs, differences, strict=True)
        ]

    def _comparison(self, family: str, names: tuple[str, str], metric: str, difference: Difference) -> Comparison:
        treated, baseline = (self.scores[name].scores for name in names)
        of_folds = self._of_folds(metric, treated) - self._of_folds(metric, baseline)
        is_primary = metric == AUC
        return Comparison(
            arm=names[0],
            baseline=names[1],
            family=family,
            metric=metric,
            verdict=difference.verdict(self.config.margin if is_primary else 0.0),
            difference=difference,
            of_folds=tuple(of_folds.tolist()),
            p_delong=self._p_delong(treated, baseline) if is_primary else float("nan"),
            p_corrected_t=corrected_t_test(of_folds, 1 / self.config.num_folds),
            not_inferior=difference.is_not_inferior(self.config.margin) if is_primary else None,
        )

    def _p_delong(self, treated: np.ndarray, baseline: np.ndarray) -> float:
        real = self.real
        area = mean_area(
            real.positive, _as_runs(treated), folds=real.folds, groups=real.groups, baseline=_as_runs(baseline)
        )
        return area.p_value

    def _of_folds(self, metric: str, scores: np.ndarray) -> np.ndarray:
        """Returns a metric in each fold `[J]`, mean of the runs."""
        real, once = self.real, np.ones((1, len(self.real.positive)), np.float32)
        found = [
            [value[0] for _, value in of_each_fold(self._metrics[metric], real.positive, run, real.folds, once)]
            for run in _as_runs(scores)
        ]
        return np.mean(found, axis=0)

    def _result(self, arm: Arm) -> ArmResult:
        own = self.scores[arm.name]
        return ArmResult(
            name=arm.name,
            kind=arm.kind,
            ratio=arm.ratio,
            is_synthetic=arm.is_synthetic,
            added=float(np.mean(own.added)),
            prior=float(np.mean(own.priors)),
            runs=own.scores.shape[0] * own.scores.shape[1],
            **{metric: float(values[arm.name][:, :, 0].mean()) for metric, values in self._values.items()},
        )

    def _best_ratio(self, method: str, by_half: Sequence[np.ndarray], baselines: Sequence[np.ndarray]) -> BestRatio:
        own = [arm for arm in self.arms if arm.kind == method]
        differences = [
            [self._draws(len(values)).mean(values - baseline) for values in self._of_arms(own, weights)]
            for weights, baseline in zip(by_half, baselines, strict=True)
        ]
        choice = cross_fitted_choice(*differences)
        chosen = tuple(own[number].ratio for number in choice.chosen)
        worth = choice.difference
        return BestRatio(method=method, chosen=chosen, value=worth.value, low=worth.low, high=worth.high)

    def _of_arms(self, arms: Sequence[Arm], weights: np.ndarray) -> list[np.ndarray]:
        return [_evaluate_runs(areas, self.real, self.scores[arm.name].scores, weights) for arm in arms]


def _evaluate_runs(metric: WeightedMetric, real: RealImages, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns a metric, mean of the folds, of every run and resample `[G, S, B]`."""
    found = [[mean_of_folds(metric, real.positive, run, real.folds, weights) for run in runs] for runs in scores]
    return np.array(found)


def _as_runs(scores: np.ndarray) -> np.ndarray:
    """Returns scores `[G, S, N]` as those of runs `[R, N]`."""
    return scores.reshape(-1, scores.shape[-1])
