"""Two steps of every method under a strategy; as a script, one process of a run, because devices are fixed at start-up.

python tests/melgan/training/replica_gradients.py STRATEGY NUM_DEVICES FOLDER
"""

import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np
import tensorflow as tf

from melgan.gans.methods import METHODS
from melgan.gans.trainer import GanTrainer
from melgan.training.checkpoints import Checkpoints
from melgan.training.compiling import compiles
from melgan.training.distribution import (
    is_chief,
    make_strategy,
    on_any_worker,
    per_replica_batch_size,
    require_same_on_workers,
    watched_workers,
)
from tests.melgan.double_precision import double_precision
from tests.melgan.gans.tiny_gan import (
    CLASS_COUNTS,
    enlarge_weights,
    flat,
    random_table,
    take_steps,
    tiny_batch,
    tiny_config,
)
from tests.melgan.without_tracing import without_tracing
from tests.short_programs import leave_programs_as_traced
from tfrecords_tools.foundation.errors import ConfigError

BATCH_SIZE = 8
STEP = 5  # of the checkpoint
SEED = 1
# One of the methods has the adaptive augmentation, and is in the midst of it. r3gan is wide: with enlarged weights its
# discriminator would be so sure that the generator has no gradient. Its Adam goes by signs at first, also by those of
# gradients that are rounding, of which it has many; small steps keep these from growing.
OWN_SETTINGS = {
    "gan": {"augmentation": "ada"},
    "sagan": {"disc_steps": 2},
    "r3gan": {"width": 0.02, "learning_rate": 1e-6},
}
# Workers exchange what the replicas of one process do; these have a penalty, moving moments and a strength to exchange.
METHODS_OF = {"mirrored": tuple(METHODS), "multi_worker": ("gan", "bagan_gp", "r3gan")}
# Traced as in use, one of them grows; tracing is most of the time, so the others run as plain Python.
TRACED = ("gan", "bagan_gp", "progan")
NETWORKS = ("discriminator", "generator")
LOSSES = ("discriminator_loss", "penalty", "real_sign", "generator_loss")


def make_trainer(strategy, method="bagan_gp"):
    """Returns a trainer whose steps take several batches if the method's do, and are short otherwise.

    Networks that grow are at level 0 in the first step, and 0.6 of level 1 are there in the second: 16 images, where a
    phase has 10.
    """
    preset = METHODS[method]
    disc_steps = min(2, preset["disc_steps"]) if preset["fresh_batches"] else 1
    settings = {"global_batch_size": BATCH_SIZE, "disc_steps": disc_steps, "seed": SEED, "phase_epochs": 1.25}
    config = tiny_config(method=method, **(settings | OWN_SETTINGS.get(method, {})))
    trainer = GanTrainer(config, CLASS_COUNTS, strategy)
    trainer.strength.assign(0.5)
    enlarge_weights(trainer.networks.generator)
    enlarge_weights(trainer.networks.discriminator)
    if trainer.networks.box_table is not None:
        trainer.networks.box_table.fill(random_table(len(CLASS_COUNTS)))
    return trainer


def two_steps_of(method, strategy):
    """Returns what two steps of a method give in double precision."""
    with double_precision():
        return two_steps(make_trainer(strategy, method), strategy)


def two_steps(trainer, strategy):
    """Returns the losses of two steps, after each of them the gradients, as one vector a network, and the statistics.

    Gradients are read from where the trainer applies them: Adam's first moment is (1 - beta_1) times the gradient after
    one step of an optimizer, and a mean of all gradients, the later the heavier, after several.
    """
    batches, found = batches_of(strategy), {}
    for step in range(2):
        metrics = take_steps(trainer, batches, first=step)
        found |= {f"{name} {step}": metrics[name][0] for name in LOSSES}
        found[f"strength {step}"] = tf.convert_to_tensor(trainer.strength).numpy()
        for network in NETWORKS:
            slots = trainer.checkpointed[f"{network}_optimizer"].variables
            moments = flat([slot for slot in slots if slot.path.endswith("momentum")])
            found[f"{network} {step}"] = moments / (1 - trainer.config.beta_1)
    return found | {"statistics": statistics_of_replicas(trainer, strategy)}


def statistics_of_replicas(trainer, strategy):
    """Returns what the networks hold untrained, moving moments and directions, `[replicas of this process, n]`."""
    networks = (trainer.networks.generator, trainer.networks.discriminator.trunk, trainer.networks.discriminator.head)
    variables = [variable.value for network in networks for variable in network.non_trainable_variables]
    copies = [strategy.experimental_local_results(variable) for variable in variables]
    num_replicas = len(strategy.experimental_local_results(trainer.networks.generator.trainable_variables[0].value))
    return np.stack([flat(copy) for copy in zip(*copies, strict=True)]) if copies else np.zeros((num_replicas, 0))


def batches_of(strategy):
    """Returns an endless stream of four global batches, of which each replica gets its part."""
    batches = [tiny_batch(BATCH_SIZE, seed=seed) for seed in range(4)]
    return parts_of(
        {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}, BATCH_SIZE, strategy
    )


def parts_of(examples, batch_size, strategy):
    """Returns an endless stream of global batches of some examples, of which each replica gets its part."""

    def own_batches(context):
        parts = tf.data.Dataset.from_tensor_slices(examples).batch(batch_size // context.num_input_pipelines)
        own = parts.shard(context.num_input_pipelines, context.input_pipeline_id).unbatch().repeat()
        return own.batch(batch_size // context.num_replicas_in_sync, drop_remainder=True)

    return iter(strategy.distribute_datasets_from_function(own_batches))


def refusal(function, *arguments):
    try:
        return str(function(*arguments))
    except ConfigError as error:
        return str(error)


def main(strategy_name, num_devices, folder, write_facts):
    leave_programs_as_traced()
    devices = [tf.config.LogicalDeviceConfiguration()] * int(num_devices)
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    with watched_workers(strategy_name, heartbeat_seconds=300):
        write_facts(make_strategy(strategy_name), Path(folder))


def write_facts(strategy, folder):
    name = "chief" if is_chief(strategy) else "other"
    is_cluster = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    for method in METHODS_OF["multi_worker" if is_cluster else "mirrored"]:
        with without_tracing(unless=method in TRACED):
            found = two_steps_of(method, strategy)
        np.savez(folder / f"{name}_{method}.npz", **found)
    trainer = make_trainer(strategy)
    checkpoints = Checkpoints(folder / "checkpoints", trainer, strategy)
    checkpoints.save(STEP)
    require_same_on_workers(strategy, STEP, "the step")  # all have saved
    facts = {
        "chief": is_chief(strategy),
        "replicas": strategy.num_replicas_in_sync,
        "restored_step": checkpoints.restore(),
        "weights": flat(trainer.networks.generator.variables).tolist(),
        "odd_batch": refusal(per_replica_batch_size, strategy, 7, "global_batch_size"),
        "xla_on": refusal(compiles, "on", strategy),
        "nobody": on_any_worker(strategy, lambda: False)(),
        "somebody": on_any_worker(strategy, lambda: not is_chief(strategy))(),
        "other_step": refusal(require_same_on_workers, strategy, 7 if is_chief(strategy) else 4, "the step"),
    }
    (folder / f"{name}.json").write_text(json.dumps(facts))


def run_as_script(write_facts):
    """Makes the strategy that the arguments of this process name, and writes what is found under it."""
    try:
        main(*sys.argv[1:], write_facts)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # after an error between workers, TensorFlow may wait for ever at a normal exit


if __name__ == "__main__":
    run_as_script(write_facts)
