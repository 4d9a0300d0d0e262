"""Several workers: what the exchange of gradients costs, measured with two processes on one core each, and on paper.

On paper: a step of N replicas takes compute + bytes / bandwidth + hops x latency. A ring all-reduce sends and receives
2 (N - 1) / N times the gradients, which are 4 bytes x (disc_steps x D + G) a step, D and G being the numbers of weights
of discriminator and generator, in 2 (N - 1) hops for each of the `disc_steps` + 1 updates. Nothing overlaps. The
statistics of batch normalisation travel too, but are small. What two replicas take longer than one with as many images
each is the exchange, and that one waits for the other.
"""

import pipelines.contract.quiet_tensorflow  # noqa: F401

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from benchmarks.measuring import Measurement, print_measurements
from melgan.gans.architectures import bagan_gp
from melgan.gans.architectures.networks import NetworkShape
from melgan.gans.config import GanConfig
from melgan.gans.methods import resolve
from melgan.gans.trainer import GanTrainer
from melgan.training.distribution import make_strategy

_CLASS_COUNTS = (1, 1)
_DISC_STEPS = 5
_BATCH_SIZE = 128

# Multiply-adds of one image at published widths and 64 px, forwards; backwards is twice that, once for the inputs and
# once for the weights.
_GENERATOR, _DISCRIMINATOR = 62e6, 66e6


@dataclass(frozen=True)
class Machine:
    """What a machine is taken to do: sustained operations a second, bytes a second to the next one, seconds a hop."""

    name: str
    flops: float
    bandwidth: float
    latency: float


_MACHINES = {
    8: Machine("8 GPUs of one machine: 5 TFLOP/s, 10 GB/s, 20 us each", 5e12, 10e9, 20e-6),
    256: Machine("256 GPUs, 8 a machine, 200 Gbit/s between: 5 TFLOP/s, 3 GB/s, 20 us each", 5e12, 3e9, 20e-6),
}


def exchanged_bytes(discriminator_weights: int, generator_weights: int, replicas: int) -> float:
    """Returns the bytes that a replica sends in a step."""
    gradients = 4 * (_DISC_STEPS * discriminator_weights + generator_weights)
    return gradients * 2 * (replicas - 1) / replicas


def efficiency_on_paper(gradient_bytes: float, replicas: int, machine: Machine) -> float:
    """Returns the fraction of a step at published widths that is not exchange, 128 images a replica."""
    passes = _DISC_STEPS * (_GENERATOR + 10 * _DISCRIMINATOR) + 3 * _GENERATOR + 2 * _DISCRIMINATOR
    compute = 2 * passes * _BATCH_SIZE / machine.flops
    exchange = gradient_bytes / machine.bandwidth + (_DISC_STEPS + 1) * 2 * (replicas - 1) * machine.latency
    return compute / (compute + exchange)


def measure(*, width: float = 0.25, batch_size: int = 32, steps: int = 10) -> list[Measurement]:
    """Returns how fast one and two replicas are, and how efficient more of them on paper.

    Arguments:
      width: factor on the published filters of what is measured.
      batch_size: images a replica and step.
      steps: how many are timed, after one that is not.
    """
    (alone,) = _run_workers(1, width, batch_size, steps)
    together = max(_run_workers(2, width, batch_size, steps))
    sent = exchanged_bytes(*_weights(width), 2)
    what = f"bagan_gp, width {width:g}, {batch_size} images a replica"
    return [
        Measurement(what=what, ours="1 replica, one core", rival="", value=batch_size / alone, unit="images/s"),
        Measurement(
            what=what,
            ours="2 replicas, one core each",
            rival=f"1 replica: {batch_size / alone:.1f} images/s",
            value=2 * batch_size / together,
            unit="images/s",
        ),
        Measurement(
            what=f"{what}, {_DISC_STEPS} + 1 steps",
            ours=f"2 replicas: {together:.2f} s, each sends {sent / 1e6:.1f} MB",
            rival=f"1 replica: {alone:.2f} s",
            value=together / alone,
            unit="of its time",
        ),
        *_on_paper(),
    ]


def _on_paper() -> Iterator[Measurement]:
    for replicas, machine in _MACHINES.items():
        sent = exchanged_bytes(*_weights(1.0), replicas)
        yield Measurement(
            what=f"bagan_gp, published widths, {_BATCH_SIZE} images a replica, on paper",
            ours=machine.name,
            rival=f"{sent / 1e6:.0f} MB sent a step by each",
            value=100 * efficiency_on_paper(sent, replicas, machine),
            unit="% efficient",
        )


def _weights(width: float) -> tuple[int, int]:
    """Returns how many weights of the discriminator, and of the generator, are trained."""
    networks = bagan_gp.build(NetworkShape(image_size=64, num_classes=2, latent_dim=128, width=width))
    discriminator, generator = networks.discriminator.trainable_variables, networks.generator.trainable_variables
    return sum(int(np.prod(v.shape)) for v in discriminator), sum(int(np.prod(v.shape)) for v in generator)


def _run_workers(count: int, width: float, batch_size: int, steps: int) -> list[float]:
    """Returns the seconds of a step by the clock, of each of some workers that train together, on a core each."""
    settings = json.dumps({"width": width, "batch_size": batch_size, "steps": steps, "replicas": count})
    addresses = [f"localhost:{port}" for port in _free_ports(count)]
    workers = []
    for index in range(count):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        command = [sys.executable, "-m", "benchmarks.gan_scaling", str(index), settings]
        environment = os.environ | ({"TF_CONFIG": json.dumps(task)} if count > 1 else {})
        workers.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    outputs = [worker.communicate()[0] for worker in workers]
    for worker in workers:
        if worker.returncode:
            raise RuntimeError(f"{' '.join(worker.args)}: ended with exit code {worker.returncode}")
    return [float(output.splitlines()[-1]) for output in outputs]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    ports = [own.getsockname()[1] for own in sockets]
    for own in sockets:
        own.close()
    return ports


def _worker(core: int, *, width: float, batch_size: int, steps: int, replicas: int) -> float:
    """Trains as one of the workers; returns the seconds of a step."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})
    tf.config.set_visible_devices([], "GPU")
    strategy = make_strategy("one_device" if replicas == 1 else "multi_worker")
    config = GanConfig(
        image_size=64, width=width, global_batch_size=batch_size * replicas, disc_steps=_DISC_STEPS, xla="off"
    )
    trainer = GanTrainer(resolve(config), _CLASS_COUNTS, strategy)
    batch = {"image": np.zeros((batch_size, 64, 64, 3), np.uint8), "label": np.zeros(batch_size, np.int32)}
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    batches = iter(strategy.distribute_datasets_from_function(lambda context: dataset))
    program, _ = trainer.program_at(0)
    program(batches, tf.constant(0, tf.int64), tf.constant(1, tf.int64))
    start = time.perf_counter()
    losses = program(batches, tf.constant(1, tf.int64), tf.constant(steps, tf.int64))
    losses["generator_loss"].numpy()
    return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(f"{_worker(int(sys.argv[1]), **json.loads(sys.argv[2]))}\n")
    else:
        print_measurements(measure())
