"""Two steps of settings beside the presets under a strategy; as a script, one process of a run.

python tests/melgan/training/replica_variants.py STRATEGY NUM_DEVICES FOLDER [VARIANT ...]
"""

import sys

import numpy as np

from melgan.gans.trainer import GanTrainer
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, enlarge_weights, flat, tiny_config
from tests.melgan.gans.variants import VARIANTS
from tests.melgan.training.replica_gradients import BATCH_SIZE, SEED, run_as_script, two_steps

NAMES = ("mode_seeking", "transitional")  # sagan's programs take a minute


def found_by(strategy, name):
    """Returns what two steps of a variant give, and what its regulariser then remembers, of each replica."""
    settings = {"global_batch_size": BATCH_SIZE, "seed": SEED, "width": 0.05, "autoencoder_epochs": 0}
    trainer = GanTrainer(tiny_config(**(settings | VARIANTS[name])), CLASS_COUNTS, strategy)
    enlarge_weights(trainer.networks.generator)
    enlarge_weights(trainer.networks.discriminator)
    found = two_steps(trainer, strategy)
    memory = [strategy.experimental_local_results(variable) for variable in trainer.checkpointed["regulariser"]]
    return found | {"memory": np.stack([flat(copies) for copies in zip(*memory, strict=True)])}


def write_facts(strategy, folder):
    for name in NAMES:
        np.savez(folder / f"{name}.npz", **found_by(strategy, name))


if __name__ == "__main__":
    if len(sys.argv) > 4:
        NAMES = tuple(sys.argv[4:])
        del sys.argv[4:]
    run_as_script(write_facts)
