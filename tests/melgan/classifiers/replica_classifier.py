"""A step of a classifier under a strategy; as a script, one process of a run, because devices are fixed at start-up.

python tests/melgan/classifiers/replica_classifier.py STRATEGY NUM_DEVICES FOLDER
"""

import numpy as np

from melgan.classifiers.trainer import ClassifierTrainer
from melgan.training.distribution import is_chief
from tests.melgan.classifiers.tiny_classifier import tiny_batch, tiny_config
from tests.melgan.gans.tiny_gan import flat, take_steps
from tests.melgan.training.replica_gradients import parts_of, run_as_script
from tests.melgan.without_tracing import without_tracing

BATCH_SIZE = 16
BETA_1 = 0.9  # of Keras' AdamW
RECIPES = {
    "plain": {},
    "balanced, with mixup": {"mixing": "mixup", "mixing_alpha": 1.0, "class_balance": 1.0},
    "in parts of a batch": {"accumulation": 2},
}
TRACED = "balanced, with mixup"  # as in use; tracing is most of the time, so the others run as plain Python


def uneven_batch():
    """Returns 16 images whose halves, one of each replica, are of other brightness, classes and metadata."""
    sex, age = [0, 1] * 4 + [-1] * 7 + [0], [-1] * 13 + [50, 40, 60]
    batch = tiny_batch([0] * 6 + [1] * 10, sex=sex, age_approx=age)
    darkness = np.array([3] * 8 + [1] * 8, np.uint8)[:, None, None, None]
    return batch | {"image": batch["image"] // darkness}


def one_step(strategy, recipe):
    """Returns losses, gradients as one vector, and moving statistics `[replicas of this process, n]`, of a step.

    Gradients are read from where the trainer applies them: after one step the first moment is (1 - beta_1) times them.
    """
    config = tiny_config(batch_size=BATCH_SIZE, warmup_fraction=0.0, **RECIPES[recipe])
    trainer = ClassifierTrainer(config, (6, 10), 100, strategy)
    losses = take_steps(trainer, parts_of(uneven_batch(), BATCH_SIZE, strategy), first=0)
    moments = [slot for slot in trainer.checkpointed["optimizer"].variables if slot.path.endswith("momentum")]
    moving = [v.value for v in trainer.checkpointed["model"].non_trainable_variables if "moving" in v.path]
    copies = zip(*(strategy.experimental_local_results(value) for value in moving), strict=True)
    found = {"gradients": flat(moments) / (1 - BETA_1), "statistics": np.stack([flat(copy) for copy in copies])}
    return {name: loss[0] for name, loss in losses.items()} | found


def write_facts(strategy, folder):
    name = "chief" if is_chief(strategy) else "other"
    for recipe in RECIPES:
        with without_tracing(unless=recipe == TRACED):
            found = one_step(strategy, recipe)
        np.savez(folder / f"{name}_{recipe}.npz", replicas=strategy.num_replicas_in_sync, **found)


if __name__ == "__main__":
    run_as_script(write_facts)
