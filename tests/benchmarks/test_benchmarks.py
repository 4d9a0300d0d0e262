"""The benchmarks run, at sizes that measure nothing; and the table says what was met."""

import importlib.util
import json
import subprocess
import sys

import pytest

from benchmarks.__main__ import SUBJECTS, table
from benchmarks.gan_scaling import Machine, efficiency_on_paper, exchanged_bytes
from benchmarks.measuring import Measurement, times_faster
from tests.conftest import ROOT

TINY = {
    "images": "large=(240, 160), large_rounds=1, small=64, small_rounds=1",
    "reading": "image_size=16, batch_size=4, photos=2, rounds=1",
    "engines": "photo=(240, 160), photos=32, rounds=1",
    "planning": "kaggle_rows=2000, many_rows=4000",
    "gan_step": "width=0.05, batch_size=4, disc_steps=2, rounds=1, changes=['without any']",
    "gan_overhead": "width=0.05, batch_size=8, images=100, steps=10",
    "gan_scaling": "width=0.05, batch_size=4, steps=2",
    "classifier_step": "backbone='small_cnn', sizes=[32], batch_size=4, images=100, steps=1, rounds=1",
    "image_metrics": "images=100, width=16",
}
NEEDED = {
    "images": ["cv2"],
    "reading": ["cv2", "webdataset"],
    "engines": [],
    "planning": [],
    "gan_step": [],
    "gan_overhead": [],
    "gan_scaling": [],
    "classifier_step": ["cv2", "webdataset"],
    "image_metrics": ["torch_fidelity"],
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_measures(subject):
    for package in NEEDED[subject]:
        if importlib.util.find_spec(package) is None:  # not imported: PyTorch beside TensorFlow asks for trouble
            pytest.skip(f"needs {package}, of the extra bench")
    measurements = measured(subject, TINY[subject])
    assert all(row.value >= 0 for row in measurements)
    assert any(row.met is not None for row in measurements) or subject == "gan_scaling"
    if subject == "gan_step":
        (equality,) = (row for row in measurements if row.unit == "millionths" and row.at_most)
        assert equality.met


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_our_image_metrics_are_measured_without_a_rival():
    (memory,) = measured("image_metrics", f"{TINY['image_metrics']}, rival=None")
    assert memory.value > 0
    assert memory.met


def measured(subject, arguments):
    code = f"from benchmarks.{subject} import *\nprint_measurements(measure({arguments}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return [Measurement(**json.loads(line)) for line in result.stdout.splitlines()]


def test_a_ratio_is_the_median_over_the_rounds():
    assert times_faster(ours=[1.0, 2.0, 1.0], rival=[3.0, 4.0, 9.0]) == 3.0  # of 3, 2 and 9


def test_the_table_says_what_was_met():
    row = {"what": "this", "ours": "2/s", "rival": "that"}
    measurements = [
        Measurement(**row, value=3.456, at_least=3.5),
        Measurement(**row, value=49.96, unit="dB", at_least=45),
        Measurement(**row, value=150, unit="MB", at_most=150),
        Measurement(**row, value=0.5149, unit="of its time", at_most=0.6),
        Measurement(**row, value=1),
    ]
    assert list(table(measurements))[2:] == [
        "| this | 2/s | that | 3.46x | at least 3.5x | **no** |",
        "| this | 2/s | that | 50.0 dB | at least 45 dB | yes |",
        "| this | 2/s | that | 150.0 MB | at most 150 MB | yes |",
        "| this | 2/s | that | 0.51 of its time | at most 0.6 of its time | yes |",
        "| this | 2/s | that | 1.00x |  |  |",
    ]


def test_bytes_that_a_replica_sends_by_hand():
    assert exchanged_bytes(10, 20, replicas=2) == 280  # 4 bytes x (5 x 10 + 20), the ring of two passes them on once
    assert exchanged_bytes(10, 20, replicas=4) == 420
    assert exchanged_bytes(10, 20, replicas=1) == 0


def test_efficiency_on_paper_by_hand():
    """A second of arithmetic (3.928e9 multiply-adds for each of 128 images), 2 s of bytes, 6 x 2 hops of 1/12 s."""
    machine = Machine("made up", flops=2 * 128 * 3.928e9, bandwidth=5e8, latency=1 / 12)
    assert efficiency_on_paper(1e9, 2, machine) == pytest.approx(1 / 4)
