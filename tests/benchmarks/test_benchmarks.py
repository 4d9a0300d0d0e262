"""The benchmarks run, at sizes that measure nothing; and the table says what was met."""

import json
import subprocess
import sys

import pytest

from benchmarks.__main__ import SUBJECTS, table
from benchmarks.measuring import Figure, times_faster
from tests.conftest import ROOT

TINY = {
    "images": "large=(240, 160), large_rounds=1, small=64, small_rounds=1",
    "reading": "image_size=16, batch_size=4, photos=2, rounds=1",
    "engines": "photo=(240, 160), photos=32, rounds=1",
    "planning": "kaggle_rows=2000, many_rows=4000",
}
NEEDED = {"images": ["cv2"], "reading": ["cv2", "webdataset"], "engines": [], "planning": []}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_measures(subject):
    for package in NEEDED[subject]:
        pytest.importorskip(package)
    code = f"from benchmarks.{subject} import *\nprint_figures(measure({TINY[subject]}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    figures = [Figure(**json.loads(line)) for line in result.stdout.splitlines()]
    assert all(figure.value > 0 for figure in figures)
    assert any(figure.met is not None for figure in figures)


def test_a_ratio_is_the_median_over_the_rounds():
    assert times_faster(ours=[1.0, 2.0, 1.0], rival=[3.0, 4.0, 9.0]) == 3.0  # of 3, 2 and 9


def test_the_table_says_what_was_met():
    row = {"what": "this", "ours": "2/s", "rival": "that"}
    figures = [
        Figure(**row, value=3.456, at_least=3.5),
        Figure(**row, value=49.96, unit="dB", at_least=45),
        Figure(**row, value=150, unit="MB", at_most=150),
        Figure(**row, value=1),
    ]
    assert list(table(figures))[2:] == [
        "| this | 2/s | that | 3.46x | at least 3.5x | **no** |",
        "| this | 2/s | that | 50.0 dB | at least 45 dB | yes |",
        "| this | 2/s | that | 150.0 MB | at most 150 MB | yes |",
        "| this | 2/s | that | 1.00x |  |  |",
    ]
