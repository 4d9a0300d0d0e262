"""The gradients of a method's first step: by this device, and by the processor, which they are compared with.

    python -m benchmarks.gpu.gradients METHOD FILE [--tiny]     writes the processor's

A unit that is nearly 0 may be on the other side of its kink by other rounding, and moves the gradient by about a
thousandth. So the processor computes them a second time with other algorithms (without oneDNN): a GPU is right if it
differs from the first no more than the second does, give or take.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.gpu.measurements import without_gpu
from benchmarks.gpu.trainings import flat, make_trainer, networks_of, real_batch
from melgan.gans.penalties import RealAndFake
from melgan.gans.trainer import GanTrainer

REFERENCES = Path("runs/gpu_references")
_GRADIENTS = ("discriminator_gradient", "generator_gradient")


def write_reference(method: str, path: Path, *, tiny: bool) -> None:
    """Writes first weights, fakes and gradients of a method, computed by the processor."""
    trainer = _make_trainer(method, tiny=tiny)
    step, batch = trainer.step_at(), real_batch(trainer.config)
    fakes, labels, _ = step.generate(tf.constant(batch["label"]), trainer.draws(0))
    arrays = {"fake_images": fakes.numpy(), "fake_labels": labels.numpy()}
    for name, network in networks_of(trainer).items():
        arrays |= {f"{name}_{number:04d}": weight for number, weight in enumerate(network.get_weights())}
    for xla in (False, True):  # programs that XLA compiles make other random numbers of the same bits
        for name, gradients in _gradients(trainer, arrays, xla=xla).items():
            arrays |= {f"{name}_{xla}_{number:04d}": gradient for number, gradient in enumerate(gradients)}
    np.savez(path, **arrays)


def reference_of(method: str, folder: Path, *, tiny: bool) -> Path:
    """Returns the file of the processor's gradients in a folder; a process without a GPU writes it if it is not there.

    Processors may write it beforehand: `for m in METHODS: reference_of(m, REFERENCES)`.
    """

    def write(path: Path, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "benchmarks.gpu.gradients", method, str(path), *["--tiny"] * tiny]
        subprocess.run(command, env={**without_gpu(), **environment}, check=True)

    path = folder / f"{method}.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write(path, {})
        write(path.with_suffix(".other.npz"), {"TF_ENABLE_ONEDNN_OPTS": "0"})
    return path


def differences_of_other_rounding(path: Path, *, xla: bool) -> dict[str, float]:
    """Returns how the processor's gradients differ from its own by other algorithms."""
    with np.load(path) as file, np.load(path.with_suffix(".other.npz")) as other:
        pairs = {name: (_arrays(file, f"{name}_{xla}"), _arrays(other, f"{name}_{xla}")) for name in _GRADIENTS}
    return {name: _difference(flat(found), flat(expected)) for name, (expected, found) in pairs.items()}


def differences(method: str, path: Path, *, xla: bool, tiny: bool) -> dict[str, float]:
    """Returns |ours - reference| / |reference| of all gradients of each network, and of the worst variable.

    Variables whose gradient is less than a thousandth of the whole do not count for the worst.
    """
    with np.load(path) as file:
        reference = dict(file)
    trainer = _make_trainer(method, tiny=tiny)
    for name, network in networks_of(trainer).items():
        network.set_weights(_arrays(reference, name))
    result, worst = {}, 0.0
    for name, gradients in _gradients(trainer, reference, xla=xla).items():
        expected = _arrays(reference, f"{name}_{xla}")
        result[name] = _difference(flat(gradients), flat(expected))
        floor = 1e-3 * np.linalg.norm(flat(expected))
        large = (pair for pair in zip(gradients, expected, strict=True) if np.linalg.norm(pair[1]) > floor)
        worst = max([worst, *(_difference(*pair) for pair in large)])
    return result | {"worst_variable": worst}


def _make_trainer(method: str, *, tiny: bool) -> GanTrainer:
    size = {"width": 0.1, "global_batch_size": 4} if tiny else {"width": 0.5, "global_batch_size": 16}
    tf.config.experimental.enable_tensor_float_32_execution(False)
    return make_trainer(method, precision="float32", xla="off", **size)


def _gradients(trainer: GanTrainer, fakes: dict[str, np.ndarray], *, xla: bool) -> dict[str, list[np.ndarray]]:
    step, batch, draws = trainer.step_at(), real_batch(trainer.config), trainer.draws(0)
    shown = step.as_shown({name: tf.constant(value) for name, value in batch.items()}, trainer.growth.degree(0))

    @tf.function(autograph=False, jit_compile=xla)
    def gradients(images: tf.Tensor, labels: tf.Tensor, fake_images: tf.Tensor, fake_labels: tf.Tensor) -> tuple:
        both = RealAndFake(images, labels, fake_images, fake_labels)
        penalised = trainer.config.has_penalty
        discriminator = trainer.discriminator_gradients(step, both, draws, penalised=penalised).of_weights
        return discriminator, trainer.generator_gradients(step, images, labels, draws).of_weights

    found: tuple[Any, Any] = gradients(
        shown["image"], shown["label"], tf.constant(fakes["fake_images"]), tf.constant(fakes["fake_labels"])
    )
    return {name: [one.numpy() for one in part] for name, part in zip(_GRADIENTS, found, strict=True)}


def _arrays(file: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    return [file[key] for key in sorted(file) if key.startswith(f"{name}_0")]


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    error = float(np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-30))
    return error if np.isfinite(error) else float("inf")


if __name__ == "__main__":
    write_reference(sys.argv[1], Path(sys.argv[2]), tiny="--tiny" in sys.argv)
