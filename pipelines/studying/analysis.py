"""From the scores of all arms to the tables of a study: metrics, differences with verdicts, best ratios, power."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from melgan.metrics.delong import mean_area_of_runs
from melgan.studies.areas import WeightedMetric, areas, mean_of_folds, of_each_fold, sensitivities
from melgan.studies.arms import Arm
from melgan.studies.choosing import cross_fitted_choice
from melgan.studies.differences import RunDraws, compare_family, corrected_t_test
from melgan.studies.resampling import halves, patient_weights, run_weights
from pipelines.artefacts.study import AUC, SENSITIVITY, ArmResult, BestRatio, Comparison, StudyConfig
from pipelines.studying.fold_features import RealImages
from pipelines.studying.scores import ArmScores


@dataclass(frozen=True)
class Analysis:
    """The results of the arms, their comparisons, and the best ratio of each method."""

    arms: tuple[ArmResult, ...]
    comparisons: tuple[Comparison, ...]
    best_ratios: tuple[BestRatio, ...]


def analyse(
    config: StudyConfig,
    real: RealImages,
    arms: Sequence[Arm],
    scores: Mapping[str, ArmScores],
    log: Callable[[str], None],
) -> Analysis:
    """Returns the analysis of the scores of all arms; `log` is told what is computed."""
    weights = patient_weights(real.groups, real.positive, config.resamples, config.seed)
    metrics: dict[str, WeightedMetric] = {
        AUC: areas,
        SENSITIVITY: partial(sensitivities, specificity=config.specificity),
    }
    values, comparisons = {}, []
    for name, metric in metrics.items():
        log(f"resampling {name}")
        values[name] = {arm.name: _values(metric, real, scores[arm.name].scores, weights) for arm in arms}
        for is_synthetic in (True, False):  # controls are a family of their own
            family = [arm for arm in arms if arm.baseline and arm.is_synthetic == is_synthetic]
            comparisons += _compare(config, real, family, scores, name, metric, values[name])
    results = [_result(arm, scores[arm.name], {name: values[name][arm.name] for name in metrics}) for arm in arms]
    log("choosing ratios")
    return Analysis(tuple(results), tuple(comparisons), tuple(_best_ratios(config, real, arms, scores, weights)))


def _values(metric: WeightedMetric, real: RealImages, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns a metric, mean of the folds, of every run and resample `[G, S, B]`."""
    found = [[mean_of_folds(metric, real.positive, run, real.folds, weights) for run in runs] for runs in scores]
    return np.array(found)


def _compare(
    config: StudyConfig,
    real: RealImages,
    family: Sequence[Arm],
    scores: Mapping[str, ArmScores],
    name: str,
    metric: WeightedMetric,
    values: Mapping[str, np.ndarray],
) -> list[Comparison]:
    if not family:
        return []
    pairs = [(values[arm.name], values[arm.baseline]) for arm in family]
    draws = [_draws(config, treated.shape[0]) for treated, _ in pairs]
    differences = compare_family(*zip(*pairs, strict=True), draws)
    return [
        Comparison(
            arm=arm.name,
            baseline=arm.baseline,
            metric=name,
            is_synthetic=arm.is_synthetic,
            verdict=difference.verdict(config.margin),
            difference=difference,
            p_delong=_p_delong(real, *own) if name == AUC else float("nan"),
            p_corrected_t=_p_corrected_t(config, real, metric, *own),
        )
        for arm, difference in zip(family, differences, strict=True)
        for own in [(scores[arm.name].scores, scores[arm.baseline].scores)]
    ]


def _draws(config: StudyConfig, num_generators: int) -> RunDraws:
    return RunDraws(
        run_weights(num_generators, config.resamples, config.seed + 1),
        run_weights(config.seeds, config.resamples, config.seed + 2),
    )


def _p_delong(real: RealImages, treated: np.ndarray, baseline: np.ndarray) -> float:
    runs = [scores.reshape(-1, scores.shape[-1]) for scores in (treated, baseline)]
    return mean_area_of_runs(real.positive, runs[0], folds=real.folds, groups=real.groups, baseline=runs[1]).p_value


def _p_corrected_t(
    config: StudyConfig, real: RealImages, metric: WeightedMetric, treated: np.ndarray, baseline: np.ndarray
) -> float:
    once = np.ones((1, len(real.positive)), np.float32)
    runs = [scores.reshape(-1, scores.shape[-1]) for scores in (treated, baseline)]
    means = [
        np.mean(
            [[value[0] for _, value in of_each_fold(metric, real.positive, run, real.folds, once)] for run in own],
            axis=0,
        )
        for own in runs
    ]
    return corrected_t_test(means[0] - means[1], 1 / config.num_folds)


def _result(arm: Arm, own: ArmScores, values: Mapping[str, np.ndarray]) -> ArmResult:
    return ArmResult(
        name=arm.name,
        kind=arm.kind,
        ratio=arm.ratio,
        is_synthetic=arm.is_synthetic,
        added=float(np.mean(own.added)),
        prior=float(np.mean(own.priors)),
        runs=own.scores.shape[0] * own.scores.shape[1],
        **{name: float(of_runs[:, :, 0].mean()) for name, of_runs in values.items()},
    )


def _best_ratios(
    config: StudyConfig,
    real: RealImages,
    arms: Sequence[Arm],
    scores: Mapping[str, ArmScores],
    weights: np.ndarray,
) -> list[BestRatio]:
    """Returns, for each method of several ratios, the ratio that half of the patients choose and its worth."""
    if len(config.ratio_values) < 2:
        return []
    is_first = halves(real.groups, real.positive, config.seed)
    by_half = [weights * half for half in (is_first.astype(np.float32), (~is_first).astype(np.float32))]
    found = []
    for method in config.methods:
        own = [arm for arm in arms if arm.kind == method]
        differences = [[_mean_difference(config, real, arm, scores, half) for arm in own] for half in by_half]
        choice = cross_fitted_choice(*differences)
        chosen = tuple(own[number].ratio for number in choice.chosen)
        interval = choice.difference
        found.append(
            BestRatio(method=method, chosen=chosen, value=interval.value, low=interval.low, high=interval.high)
        )
    return found


def _mean_difference(
    config: StudyConfig, real: RealImages, arm: Arm, scores: Mapping[str, ArmScores], weights: np.ndarray
) -> np.ndarray:
    treated, baseline = (_values(areas, real, scores[name].scores, weights) for name in (arm.name, arm.baseline))
    return _draws(config, len(treated)).mean(treated - baseline)
