"""Two steps of SinGAN under a strategy, each of a scale; as a script, because devices are fixed at start-up.

python tests/melgan/single_image/replica_singan.py STRATEGY NUM_DEVICES FOLDER
"""

import numpy as np

from melgan.single_image.trainer import SinganTrainer
from tests.melgan.gans.tiny_gan import enlarge_weights, flat
from tests.melgan.single_image.tiny_singan import TWO_SCALES, take_steps, tiny_config, tiny_image
from tests.melgan.training.replica_gradients import run_as_script
from tests.melgan.without_tracing import without_tracing

NETWORKS = ("generator", "discriminator")


@without_tracing()
def two_steps(strategy):
    """Returns the metrics of both steps, the gradients after each, as one vector a network, and all weights.

    Gradients are read from where the trainer applies them: after one step the first moment is (1 - beta_1) times them.
    """
    trainer = SinganTrainer(tiny_config(**TWO_SCALES, steps_per_scale=1), strategy)
    trainer.begin(tiny_image(11))
    enlarge_weights(trainer.step_at(0).generator)
    enlarge_weights(trainer.step_at(0).discriminator)
    found = {}
    for step in range(2):
        found |= {f"{name} {step}": values[0] for name, values in take_steps(trainer, step, 1).items()}
        for network in NETWORKS:
            slots = trainer.checkpointed[f"{network}_optimizer"].variables
            found[f"{network} {step}"] = 2 * flat([slot for slot in slots if slot.path.endswith("momentum")])
    return found | {"weights": flat(trainer.stack.get_weights())}


def write_facts(strategy, folder):
    np.savez(folder / "found.npz", replicas=strategy.num_replicas_in_sync, **two_steps(strategy))


if __name__ == "__main__":
    run_as_script(write_facts)
