"""Does everything run on a GPU, and is it right?

The card; the whole line of `make demo`; a checkpoint that a processor goes on from; every method: 200 steps in half
precision, the strategy of several replicas, equal bits with deterministic operations, and gradients against the
processor's. Parts run together, so the seconds say nothing.
"""

import itertools
import json
import os
import platform
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.gpu.gradients import REFERENCES, differences, differences_of_other_rounding, reference_of
from benchmarks.gpu.measurements import Measurements, Part, main, without_gpu
from benchmarks.gpu.trainings import Steps, make_trainer, weights_of
from melgan.gans.methods import METHODS
from melgan.training.checkpoints import whole_steps
from melgan.training.determinism import make_deterministic
from pipelines.contract.flags import as_flags
from pipelines.contract.launching import command_line

_STEPS_IN_HALF = 200
_GROWING_EPOCHS = 30.0  # over the 22 images of CLASS_COUNTS: all phases of growth end within the steps at batch 32


def device(measurements: Measurements) -> None:
    """The card, and what TensorFlow makes of it."""
    with measurements.line("the card") as line:
        gpus = tf.config.list_physical_devices("GPU")
        details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
        line |= {
            "gpus": len(gpus),
            "name": details.get("device_name"),
            "compute_capability": details.get("compute_capability"),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
            "cpus": os.cpu_count(),
        }


def equal_gradients(method: str, measurements: Measurements) -> None:
    """Gradients of the first step in float32 without TF32, against the processor's."""
    with tempfile.TemporaryDirectory() as folder, measurements.line(f"{method}, the processor's gradients"):
        path = reference_of(method, Path(folder) if measurements.tiny else REFERENCES, tiny=measurements.tiny)
        for xla in (False, True):
            with measurements.line(f"{method}, gradients, relative difference from the processor's", xla=xla) as line:
                line |= differences(method, path, xla=xla, tiny=measurements.tiny)
                line["of_other_rounding"] = differences_of_other_rounding(path, xla=xla)


def trains(method: str, measurements: Measurements) -> None:
    """200 steps in float16 and in bfloat16, growing where networks grow, and a step under `mirrored`."""
    size = {"width": 0.1, "global_batch_size": 4} if measurements.tiny else {"width": 0.5, "global_batch_size": 32}
    steps = 3 if measurements.tiny else _STEPS_IN_HALF
    for precision in ("float16", "bfloat16"):
        with measurements.line(f"{method}, {steps} steps", precision=precision) as line:
            grown_by = {} if measurements.tiny else {"phase_epochs": _GROWING_EPOCHS}
            metrics = Steps(make_trainer(method, precision=precision, **size, **grown_by)).take(steps)
            line |= _summary(metrics)
    with measurements.line(f"{method}, 2 steps under mirrored", precision="auto") as line:
        line |= _summary(Steps(make_trainer(method, "mirrored", **size)).take(2))


def deterministic(method: str, measurements: Measurements) -> None:
    """Two trainings of three steps with deterministic operations: are their weights equal, bit for bit?"""
    make_deterministic()
    size = {"width": 0.1, "global_batch_size": 4} if measurements.tiny else {"width": 0.5, "global_batch_size": 32}
    for settings in ({"xla": "auto", "precision": "auto"}, {"xla": "off", "precision": "float32"}):
        with measurements.line(f"{method}, deterministic, two trainings of 3 steps", **settings) as line:
            line |= _twice(method, size | settings)


def resumes_on_cpu(measurements: Measurements) -> None:
    """A training with settings left to the device is stopped after a checkpoint, and goes on without the GPU."""
    with tempfile.TemporaryDirectory() as folder, measurements.line("a checkpoint of the GPU resumes on a CPU") as line:
        root = Path(folder)
        shards = {"source": "phantom", "output": root / "shards", "image_size": 32, "num_images": 120, "num_shards": 4}
        _run("make_shards", shards)
        steps = 12 if measurements.tiny else 60
        settings = {
            "shards": root / "shards",
            "workdir": root / "gan",
            "image_size": 32,
            "width": 0.25,
            "global_batch_size": 8,
            "autoencoder_epochs": 1,
            "total_steps": steps,
            "checkpoint_every": 4,
            "log_every": 4,
            "steps_per_call": 2,
        }
        process = subprocess.Popen(command_line("train_gan", as_flags(settings)))
        checkpoints = root / "gan" / "checkpoints" / "gan"
        while process.poll() is None and not whole_steps(checkpoints):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        line["stopped_with"] = process.wait()
        line["from_step"] = (whole_steps(checkpoints) or [0])[-1]
        _run("train_gan", settings, without_gpu())
        rows = [json.loads(row) for row in (root / "gan" / "metrics.jsonl").read_text().splitlines()]
        line |= {"to_step": rows[-1]["step"], "rows": len(rows)}


def whole_line(measurements: Measurements) -> None:
    """What `make demo` runs: shards, generator, synthetic shards, evaluation, classifiers, submission, report."""
    with tempfile.TemporaryDirectory() as folder, measurements.line("the whole line of the demo") as line:
        if measurements.tiny:
            _run("make_shards", {"source": "phantom", "output": f"{folder}/demo", "image_size": 32, "num_images": 120})
        else:
            _run("demo", {"workdir": f"{folder}/demo"})
            report = json.loads(Path(f"{folder}/demo/report/report.json").read_text())
            line["comparisons"] = report["comparisons"]
        line["files"] = sum(path.is_file() for path in Path(folder).rglob("*"))


def _run(command: str, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
    subprocess.run(command_line(command, as_flags(settings)), env=environment, check=True)


def _summary(metrics: Mapping[str, np.ndarray]) -> dict[str, Any]:
    skipped = metrics.get("skipped_steps")
    return {
        "finite": all(bool(np.isfinite(values).all()) for values in metrics.values()),
        "skipped_steps": None if skipped is None else float(skipped.sum()),
        "skipped_in_the_second_half": None if skipped is None else float(skipped[len(skipped) // 2 :].sum()),
        "last": {name: float(f"{values[-1]:.3g}") for name, values in metrics.items()},
    }


def _twice(method: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    weights = []
    for _ in range(2):
        trainer = make_trainer(method, **settings)
        Steps(trainer).take(3)
        weights.append(weights_of(trainer))
    first, second = weights
    return {"equal": bool(np.array_equal(first, second)), "largest_difference": float(np.abs(first - second).max())}


def _parts() -> dict[str, Part]:
    of_methods = {"trains": trains, "deterministic": deterministic, "gradients": equal_gradients}
    parts = {"device": Part(device, 30), "demo": Part(whole_line, 330), "resume": Part(resumes_on_cpu, 240)}
    for name, method in itertools.product(of_methods, METHODS):
        parts[f"{name}:{method}"] = Part(partial(of_methods[name], method), 240)
    return parts


PARTS = _parts()

if __name__ == "__main__":
    main("benchmarks.gpu.it_runs", PARTS, processes=4, default_seconds=400)
