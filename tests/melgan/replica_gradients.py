"""Gradients of a GAN under a strategy; as a script, one process of a run, because devices are fixed at start-up.

python tests/melgan/replica_gradients.py STRATEGY NUM_DEVICES FOLDER
"""

import json
import os
import sys
import traceback
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context
from tiny_gan import CLASS_COUNTS, enlarge_weights, flat, tiny_batch, tiny_config

from melgan.distribution import compiles_gradients, is_chief, make_strategy, per_replica_batch_size
from melgan.errors import ConfigError
from melgan.gan_trainer import GanTrainer
from melgan.images import to_signed_float
from melgan.loop import Checkpoints

BATCH_SIZE = 8
STEP = 5


def make_trainer(strategy):
    trainer = GanTrainer(tiny_config(global_batch_size=BATCH_SIZE), CLASS_COUNTS, strategy)
    enlarge_weights(trainer.generator)
    enlarge_weights(trainer.discriminator)
    return trainer


def gradients(trainer, strategy):
    """Returns gradients, as one vector a network, and losses, summed over the replicas."""

    def own_batches(context):
        batches = tf.data.Dataset.from_tensors(tiny_batch(BATCH_SIZE)).unbatch()
        workers_batches = batches.batch(BATCH_SIZE // context.num_input_pipelines).shard(
            context.num_input_pipelines, context.input_pipeline_id
        )
        return workers_batches.unbatch().batch(BATCH_SIZE // context.num_replicas_in_sync, drop_remainder=True)

    def replica_step(batch):
        images, draws = to_signed_float(batch["image"]), trainer.draws(STEP)
        discriminator, losses = trainer.discriminator_gradients(images, batch["label"], draws.fold(1))
        generator, generator_losses = trainer.generator_gradients(images, batch["label"], draws.fold(0))
        vectors = {"discriminator": discriminator, "generator": generator}
        joined = {name: tf.concat([tf.reshape(g, [-1]) for g in values], 0) for name, values in vectors.items()}
        return joined | losses | generator_losses

    @tf.function
    def step(batches):
        per_replica = strategy.run(replica_step, args=(next(batches),))
        return {name: strategy.reduce("SUM", value, axis=None) for name, value in per_replica.items()}

    return {
        name: value.numpy()
        for name, value in step(iter(strategy.distribute_datasets_from_function(own_batches))).items()
    }


def refusal(function, *arguments):
    try:
        return str(function(*arguments))
    except ConfigError as error:
        return str(error)


def wait_long_for_heartbeats():
    """Lets workers be silent for five minutes instead of ten seconds, for machines that are busy with other things."""
    configure = context.context().configure_coordination_service
    context.context().configure_coordination_service = partial(configure, heartbeat_timeout_in_ms=300_000)


def main(strategy_name, num_devices, folder):
    devices = [tf.config.LogicalDeviceConfiguration()] * int(num_devices)
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    wait_long_for_heartbeats()
    strategy = make_strategy(strategy_name)
    trainer = make_trainer(strategy)
    results = gradients(trainer, strategy)
    checkpoints = Checkpoints(Path(folder) / "checkpoints", trainer, strategy)
    checkpoints.save(STEP)
    strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("SUM", tf.constant(1.0)))  # all have saved
    facts = {
        "chief": is_chief(strategy),
        "replicas": strategy.num_replicas_in_sync,
        "restored_step": checkpoints.restore(),
        "odd_batch": refusal(per_replica_batch_size, strategy, 7, "global_batch_size"),
        "xla_on": refusal(compiles_gradients, "on", strategy),
    }
    name = "chief" if is_chief(strategy) else "other"
    np.savez(Path(folder) / f"{name}.npz", weights=flat(trainer.generator.variables), **results)
    (Path(folder) / f"{name}.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # after an error between workers, TensorFlow may wait for ever at a normal exit
