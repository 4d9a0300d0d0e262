"""The random numbers that a `GanTrainer` draws in a step, for the published step to train on the same."""

from melgan.gans.labels import sample_labels, wrong_labels
from melgan.gans.step import Use
from tests.melgan.gans.published_step import DiscriminatorNumbers, StepNumbers


def step_numbers(trainer, step, labels, probabilities):
    """Returns the numbers of a step on real images with labels `[N]`; fake labels have probabilities `[C]`."""
    latent_dim = trainer.config.latent_dim

    def latents_and_labels(draws):
        return draws.fold(Use.LATENTS).normal(latent_dim), sample_labels(draws.fold(Use.FAKE_LABELS), probabilities)

    discriminator = []
    for disc_step in range(trainer.config.disc_steps):
        draws = trainer.draws(step).fold(1 + disc_step)
        wrong = wrong_labels(draws.fold(Use.WRONG_LABELS), labels, len(probabilities))
        mix_weights = draws.fold(Use.PENALTY).uniform(1, 1, 1)
        discriminator.append(DiscriminatorNumbers(*latents_and_labels(draws), wrong, mix_weights))
    return StepNumbers(discriminator, *latents_and_labels(trainer.draws(step).fold(0)))
