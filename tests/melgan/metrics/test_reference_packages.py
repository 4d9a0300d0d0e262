"""Our metrics against the values that torch-fidelity and prdc computed once (reference/make_reference.py)."""

import json
from pathlib import Path

import numpy as np
import pytest

from melgan.metrics.fid import frechet_distance
from melgan.metrics.inception_score import inception_score
from melgan.metrics.kid import kernel_distance
from melgan.metrics.prdc import prdc

REFERENCE = Path(__file__).parent / "reference"
EXPECTED = json.loads((REFERENCE / "expected.json").read_text(encoding="utf-8"))["metrics"]
with np.load(REFERENCE / "arrays.npz", allow_pickle=False) as file:
    ARRAYS = dict(file)
REAL, FAKE, PROBABILITIES = ARRAYS["real"], ARRAYS["fake"], ARRAYS["probabilities"]
FEW_REAL, FEW_FAKE = ARRAYS["few_real"], ARRAYS["few_fake"]


@pytest.mark.parametrize(
    ("metric", "value", "ours"),
    [
        ("frechet_distance", "frechet_inception_distance", lambda: frechet_distance(FAKE, REAL)),
        ("frechet_distance_of_few", "frechet_inception_distance", lambda: frechet_distance(FEW_FAKE, FEW_REAL)),
        ("kernel_distance", "kernel_inception_distance_mean", lambda: kernel_distance(FAKE, REAL[:120])),
        ("inception_score", "inception_score_mean", lambda: inception_score(PROBABILITIES)),
        ("inception_score_of_splits", "inception_score_mean", lambda: inception_score(PROBABILITIES, splits=10)),
        ("precision_recall", "precision", lambda: prdc(FAKE, REAL, nearest=3)["precision"]),
        ("precision_recall", "recall", lambda: prdc(FAKE, REAL, nearest=3)["recall"]),
        ("prdc", "precision", lambda: prdc(FAKE, REAL, nearest=5)["precision"]),
        ("prdc", "recall", lambda: prdc(FAKE, REAL, nearest=5)["recall"]),
        ("prdc", "density", lambda: prdc(FAKE, REAL, nearest=5)["density"]),
        ("prdc", "coverage", lambda: prdc(FAKE, REAL, nearest=5)["coverage"]),
    ],
)
def test_equals_the_package(metric, value, ours):
    np.testing.assert_allclose(ours(), EXPECTED[metric]["values"][value], rtol=1e-4)


def test_kernel_distance_is_what_subsets_estimate():
    """Of unequal counts too: subsets drawn at random estimate it without bias."""
    subsets = EXPECTED["kernel_distance_of_subsets"]
    standard_error = subsets["values"]["kernel_inception_distance_std"] / subsets["settings"]["kid_subsets"] ** 0.5
    difference = kernel_distance(FAKE, REAL) - subsets["values"]["kernel_inception_distance_mean"]
    assert abs(difference) < 3 * standard_error
