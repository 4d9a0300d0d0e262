"""Runs whose probabilities are calibrated on what they predicted out of fold."""

from dataclasses import replace

import numpy as np
import pytest

from pipelines.artefacts.classifier_run import Priors
from pipelines.artefacts.predictions import scores
from pipelines.submission.calibrated_run import calibrate_run
from pipelines.submission.fitting import fit_runs
from tests.pipelines.artefacts.test_comparisons import BASELINE, finish, runs_of
from tfrecords_tools.foundation.errors import CommandError, DataError


def odds(run) -> np.ndarray:
    probabilities = scores(run.out_of_fold())[1]
    return probabilities[:, 1] / probabilities[:, 0]


@pytest.fixture
def run(tmp_path):
    (run,) = runs_of(finish(tmp_path / "real", BASELINE))
    return run


def test_as_trained_and_without_a_temperature_nothing_changes(run):
    plain = calibrate_run(run, "none", "as_trained")
    assert (plain.temperature, plain.priors) == (1.0, {})


def test_odds_of_a_fold_are_multiplied_by_the_ratio_of_its_priors(run):
    priors = {"0": Priors(trained=(0.5, 0.5), real=(0.9, 0.1))}
    known = replace(run, report=replace(run.report, priors=priors))
    shifted = calibrate_run(known, "none", "real")
    np.testing.assert_allclose(odds(shifted), odds(calibrate_run(run, "none", "as_trained")) / 9)


def test_a_temperature_divides_the_logits_of_all_images(run):
    plain, scaled = (calibrate_run(run, temperature, "as_trained") for temperature in ("none", "fitted"))
    assert scaled.temperature != 1
    np.testing.assert_allclose(np.log(odds(scaled)), np.log(odds(plain)) / scaled.temperature)


def test_a_run_that_did_not_write_down_its_mix_is_refused_with_what_to_do(run):
    with pytest.raises(DataError, match="real.*COMPLETED.*train_classifier"):
        calibrate_run(run, "none", "real")


def test_weights_are_fitted_to_images_that_all_runs_have_predicted(tmp_path):
    folders = [finish(tmp_path / name, BASELINE, seed) for name, seed in (("poor", 1), ("good", 3))]
    rows = (folders[1] / "oof.csv").read_text().splitlines()
    (folders[1] / "oof.csv").write_text("\n".join(rows[:1] + rows[11:]) + "\n")
    runs = [calibrate_run(run, "none", "as_trained") for run in runs_of(*folders)]
    fitted = fit_runs(runs, ["malignant"] * len(runs))
    assert fitted.images == 50
    assert fitted.weights.of_models[1] > fitted.weights.of_models[0]
    assert fitted.gain.low <= fitted.gain.value <= fitted.gain.high
    (folders[1] / "oof.csv").write_text("\n".join(rows).replace("ISIC_", "other_") + "\n")
    with pytest.raises(CommandError, match="poor.*good"):
        fit_runs(runs, ["malignant"] * len(runs))
