"""The benchmarks on a GPU run without one, at sizes that measure nothing."""

import json
import subprocess
import sys

import pytest
import tensorflow as tf

from benchmarks.gpu import how_fast, it_runs
from benchmarks.gpu.measurements import Measurements, read_measurements
from benchmarks.gpu.roofline import Work, floor_seconds, works_of
from melgan.gans.methods import METHODS
from tests.conftest import ROOT


def run(benchmark, folder, *parts):
    command = [sys.executable, "-m", f"benchmarks.gpu.{benchmark}", *parts, "--tiny", f"--out={folder}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    measurements = read_measurements(folder)
    assert [line for line in measurements if "error" in line] == []
    assert len([line for line in result.stdout.splitlines() if line.startswith("part=")]) == len(measurements)
    return measurements


@pytest.mark.slow
def test_it_runs(tmp_path):
    measurements = run("it_runs", tmp_path, "device", "gradients:gan")
    assert measurements[0]["gpus"] == 0
    differences = [line["generator_gradient"] for line in measurements if "generator_gradient" in line]
    assert differences == [0.0, 0.0]  # the same processor and the same algorithms


@pytest.mark.slow
def test_how_fast(tmp_path):
    """That ours equals the published step, another part, is a test of the benchmark `gan_step`."""
    rates = [line["flops_per_second"] for line in run("how_fast", tmp_path, "ceilings") if "flops_per_second" in line]
    assert len(rates) == 4
    assert min(rates) > 0


@pytest.mark.slow
def test_two_replicas(tmp_path):
    (measurement,) = run("two_replicas", tmp_path, "bagan_gp")
    assert measurement["difference_over_the_step"] < 1e-5


def test_every_method_has_its_parts():
    assert {f"{name}:{method}" for name in ("trains", "deterministic", "gradients") for method in METHODS} <= set(
        it_runs.PARTS
    )
    assert "bagan_gp" in how_fast.PARTS


def test_a_figure_that_fails_is_written_and_the_part_goes_on(tmp_path):
    measurements = Measurements(tmp_path / "measurements.jsonl", "part", tiny=True, seconds=60)
    with measurements.line("fails", batch=4) as line:
        line["begun"] = True
        raise ValueError("no such card")
    with measurements.line("works") as line:
        line["ms"] = 1.5
    failed, worked = (json.loads(text) for text in (tmp_path / "measurements.jsonl").read_text().splitlines())
    assert (failed["what"], failed["batch"], failed["begun"]) == ("fails", 4, True)
    assert "no such card" in failed["error"]
    assert worked["ms"] == 1.5


def test_work_by_hand():
    """A product [2, 3] x [3, 4], and a strided convolution with gradients, in functions within functions."""

    @tf.function(autograph=False)
    def gradients(images, kernel):
        with tf.GradientTape() as tape:
            tape.watch([images, kernel])
            loss = tf.reduce_sum(tf.square(tf.nn.conv2d(images, kernel, 2, "SAME")))
        return tape.gradient(loss, [images, kernel])

    program = tf.function(lambda x, w, a, b: (gradients(x, w), a @ b), autograph=False)
    shapes = ([2, 8, 8, 3], [3, 3, 3, 4], [2, 3], [3, 4])
    works = works_of(program.get_concrete_function(*map(tf.zeros, shapes)).graph)
    convolution = 2 * (2 * 4 * 4) * (3 * 3 * 3 * 4)  # two operations for each place on the output and each weight
    assert sorted(work.flops for work in works) == [2 * 2 * 3 * 4, convolution, convolution, convolution]
    images, kernel, outputs = 2 * 8 * 8 * 3, 3 * 3 * 3 * 4, 2 * 4 * 4 * 4
    assert images + kernel + outputs in [work.numbers for work in works]


def test_the_larger_of_two_floors_counts():
    works = [Work(flops=100, numbers=1), Work(flops=1, numbers=50)]
    assert floor_seconds(works, flops_per_second=10, bytes_per_second=20, bytes_each=4) == 10 + 10
