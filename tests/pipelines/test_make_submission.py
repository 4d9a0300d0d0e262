"""make_submission on CSV files alone, on runs, and on both: how they are combined, and what is refused before."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipelines import make_submission
from pipelines.artefacts.submission import SubmissionReport
from pipelines.contract.workdir import read_report
from pipelines.make_submission import MakeSubmissionConfig
from tests.pipelines.conftest import only_error
from tfrecords_tools.foundation.errors import CommandError, ConfigError

NAMES = [f"ISIC_{number}" for number in range(40)]
RNG = np.random.default_rng(0)


def write_csv(path: Path, values: np.ndarray, names: list[str] = NAMES) -> str:
    order = RNG.permutation(len(names))
    pd.DataFrame({"image_name": np.array(names)[order], "target": values[order]}).to_csv(path, index=False)
    return str(path)


@pytest.fixture
def sample(tmp_path: Path) -> str:
    pd.DataFrame({"image_name": NAMES, "target": 0}).to_csv(tmp_path / "sample.csv", index=False)
    return str(tmp_path / "sample.csv")


def submit(tmp_path: Path, **settings) -> tuple[pd.DataFrame, SubmissionReport]:
    folder = tmp_path / "out"
    make_submission.run(MakeSubmissionConfig(output=str(folder), **settings))
    return pd.read_csv(folder / "submission.csv"), read_report(folder, SubmissionReport)


def test_eight_parts_in_ten_of_the_mean_of_eight_files_and_two_of_a_ninth(tmp_path, sample):
    values = RNG.random((9, 40))
    files = tuple(write_csv(tmp_path / f"{number}.csv", own) for number, own in enumerate(values))
    table, report = submit(
        tmp_path, csv=files, sample_submission=sample, ensemble="weighted", weights=(*["0.1"] * 8, "0.2")
    )
    assert table["image_name"].tolist() == NAMES
    np.testing.assert_allclose(table["target"], 0.8 * values[:8].mean(axis=0) + 0.2 * values[8], atol=1e-6)
    assert [member.weight for member in report.members] == [0.1] * 8 + [0.2]
    assert (report.models, report.label, report.runs) == (0, "", {})
    for number, member in enumerate(report.members):
        own = pd.read_csv(tmp_path / "out" / member.predictions)
        assert member.name == str(number)
        assert own["image_name"].tolist() == NAMES
        np.testing.assert_allclose(own["target"], values[number])


def test_ranks_take_files_of_any_scale_and_stay_in_bounds(tmp_path, sample):
    values = RNG.random(40)
    files = (write_csv(tmp_path / "a.csv", values), write_csv(tmp_path / "b.csv", 1e6 * values - 3))
    table, _ = submit(tmp_path, csv=files, sample_submission=sample, ensemble="rank")
    np.testing.assert_allclose(table["target"], (values.argsort().argsort() + 0.5) / 40)
    with pytest.raises(CommandError, match=r"b\.csv.*--ensemble=rank"):
        submit(tmp_path / "mean", csv=files, sample_submission=sample)
    assert not (tmp_path / "mean").exists()


def test_the_predictions_of_a_submission_are_csv_files_for_another(tmp_path, sample):
    """Whatever a file is called, its predictions lie in the folder."""
    odd = tmp_path / "..=1+1; 黒色腫\u202e$x.csv"
    values = RNG.random(40)
    first, report = submit(tmp_path, csv=(write_csv(odd, values),), sample_submission=sample)
    assert report.members[0].name == odd.name.removesuffix(".csv")
    (predictions,) = (tmp_path / "out").glob("predictions_1_*黒色腫*.csv")
    again, _ = submit(tmp_path / "again", csv=(str(predictions),), sample_submission=sample)
    pd.testing.assert_frame_equal(first, again)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "--runs.*--csv"),
        ({"csv": ("a.csv",)}, "--sample_submission"),
        ({"csv": ("a.csv",), "sample_submission": "s", "temperature": "fitted"}, "--temperature"),
        ({"csv": ("a.csv",), "sample_submission": "s", "ensemble": "fitted"}, "--runs"),
        ({"runs": ("a",), "ensemble": "fitted"}, "--runs"),
        ({"runs": ("a", "b"), "csv": ("c.csv",), "ensemble": "fitted"}, "--csv"),
        ({"runs": ("a", "b"), "ensemble": "weighted"}, "0 for 2"),
        ({"runs": ("a",), "csv": ("b.csv",), "ensemble": "weighted", "weights": ("1",)}, "1 for 2"),
        ({"runs": ("a", "b"), "weights": ("1", "2")}, "--ensemble=weighted"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, named):
    with pytest.raises(CommandError, match=named):
        MakeSubmissionConfig(output="out", **settings)


@pytest.mark.parametrize("weights", [("1", "-1"), ("0", "0"), ("1", "much"), ("nan", "1"), ("inf", "1")])
def test_weights_that_are_none_are_refused(weights):
    with pytest.raises(ConfigError, match=f"weights.*{weights[1]}"):
        MakeSubmissionConfig(output="out", runs=("a", "b"), ensemble="weighted", weights=weights)


def test_a_sample_submission_that_repeats_a_name_is_refused(tmp_path):
    sample = write_csv(tmp_path / "sample.csv", np.zeros(41), [*NAMES, "ISIC_0"])
    with pytest.raises(CommandError, match="1 repeated in the sample submission: ISIC_0"):
        submit(tmp_path, csv=(write_csv(tmp_path / "a.csv", np.zeros(40)),), sample_submission=sample)


def test_runs_and_files_are_combined_calibrated_and_written(classifier, mixed_classifier, submission, tmp_path):
    """Each run is the mean of its folds, whatever their number."""
    runs = (str(classifier), str(mixed_classifier))
    members = [pd.read_csv(submission / f"predictions_{name}.csv") for name in ("1_real_only", "2_mixed")]
    mean = pd.read_csv(submission / "submission.csv")
    np.testing.assert_allclose(mean["target"], (members[0]["target"] + members[1]["target"]) / 2)
    other = write_csv(tmp_path / "other.csv", RNG.random(len(mean)), mean["image_name"].tolist())
    three, report = submit(tmp_path, runs=runs, csv=(other,), ensemble="weighted", weights=("1", "2", "5"))
    added = pd.read_csv(other).set_index("image_name")["target"].loc[mean["image_name"]].to_numpy()
    expected = (members[0]["target"] + 2 * members[1]["target"] + 5 * added) / 8
    np.testing.assert_allclose(three["target"], expected, atol=1e-9)
    assert [member.networks for member in report.members] == [2, 1, 0]
    assert report.models == 3


def test_fitted_weights_and_temperatures_are_told_with_the_gain(classifier, mixed_classifier, submission, tmp_path):
    settings = {"ensemble": "fitted", "temperature": "fitted", "prior": "real"}
    table, report = submit(tmp_path, runs=(str(classifier), str(mixed_classifier)), **settings)
    assert table["target"].between(0, 1).all()
    assert report.gain.low <= report.gain.value <= report.gain.high
    assert all(member.weight >= 0 for member in report.members)
    assert all(member.temperature != 1 for member in report.members)
    before, after = (
        pd.read_csv(folder / "predictions_1_real_only.csv")["target"] for folder in (submission, tmp_path / "out")
    )
    assert not np.allclose(before, after)
    logits = [np.log(values / (1 - values)) for values in (before, after)]
    assert np.corrcoef(*logits)[0, 1] > 0.9  # of two folds, each with its own prior


def test_a_csv_with_missing_names_is_refused_in_one_line_before_anything_is_built(classifier, launch, tmp_path):
    other = write_csv(tmp_path / "other.csv", np.zeros(3), NAMES[:3])
    error = only_error(launch("make_submission", runs=classifier, csv=other, output=tmp_path / "out"))
    assert "other.csv" in error
    assert "missing" in error
    assert not (tmp_path / "out").exists()
