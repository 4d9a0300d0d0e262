"""A step of translators under a strategy; as a script, one process of a run, because devices are fixed at start-up.

python tests/melgan/translation/replica_translator.py STRATEGY NUM_DEVICES FOLDER
"""

import numpy as np

from tests.melgan.gans.tiny_gan import enlarge_weights, flat, take_steps
from tests.melgan.training.replica_gradients import parts_of, run_as_script
from tests.melgan.translation.tiny_translator import tiny_batch, tiny_trainer
from tests.melgan.without_tracing import without_tracing

BATCH_SIZE = 4
# One with two directions and networks that share an encoder, one that draws in all ways that there are but for dropout.
METHODS = ("auggan", "fastcut")


def one_step(strategy, method):
    """Returns the terms of a step, and its gradients of each kind of networks as one vector.

    Gradients are read from where the trainer applies them: after one step the first moment is (1 - beta_1) times them.
    """
    trainer = tiny_trainer(strategy, method)
    for direction in trainer.directions:
        for part in (*direction.generator_parts.values(), direction.discriminator):
            enlarge_weights(part)
    with without_tracing():
        metrics = take_steps(trainer, parts_of(tiny_batch(BATCH_SIZE), BATCH_SIZE, strategy))
    found = {name: values[0] for name, values in metrics.items() if "gradient" not in name}
    for network in ("generator", "discriminator"):
        slots = trainer.checkpointed[f"{network}_optimizer"].variables
        moments = flat([slot for slot in slots if slot.path.endswith("momentum")])
        found[f"{network}_gradients"] = moments / (1 - trainer.config.beta_1)
    return found


def write_facts(strategy, folder):
    for method in METHODS:
        found = one_step(strategy, method)
        np.savez(folder / f"{method}.npz", replicas=strategy.num_replicas_in_sync, **found)


if __name__ == "__main__":
    run_as_script(write_facts)
