"""Drawn lesions with their true masks, in memory: alone, or twice, as benign and as malignant."""

import numpy as np
from PIL import Image

from melgan.sources import Sources
from tfrecords_tools.sources.phantom import TRAIT_SHIFT, Traits, draw_counterfactuals, draw_lesion_and_mask


def draw_phantoms(count: int, image_size: int, seed: int) -> Sources:
    """Returns drawn lesions with their true masks, benign and malignant in turns.

    Arguments:
      count: how many.
      image_size: a power of two up to 128 pixels.
      seed: of everything.
    """
    images, masks = [], []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        traits = Traits(*rng.normal(TRAIT_SHIFT * (number % 2), 1.0, size=4))
        image, mask = draw_lesion_and_mask(traits, rng.beta(1.5, 2.5), rng)
        images.append(_reduced(image, image_size))
        masks.append(_reduced_mask(mask, image_size))
    return _sources(seed, images, masks, np.arange(count) % 2)


def draw_pairs(count: int, image_size: int, seed: int) -> tuple[Sources, Sources]:
    """Returns lesions drawn as benign, and the same ones drawn as malignant, on the same skins.

    Arguments:
      count: how many.
      image_size: a power of two up to 128 pixels.
      seed: of everything.
    """
    drawn = [draw_counterfactuals(seed, number) for number in range(count)]
    sides = (
        [(each.benign, each.benign_mask) for each in drawn],
        [(each.malignant, each.malignant_mask) for each in drawn],
    )
    return tuple(
        _sources(
            seed,
            [_reduced(image, image_size) for image, _ in pairs],
            [_reduced_mask(mask, image_size) for _, mask in pairs],
            np.full(count, label),
        )
        for label, pairs in enumerate(sides)
    )


def _sources(seed: int, images: list[np.ndarray], masks: list[np.ndarray], labels: np.ndarray) -> Sources:
    names = np.array([f"PHANTOM_{seed}_{number}" for number in range(len(images))])
    return Sources(names, np.stack(images), np.stack(masks), labels.astype(np.int32))


def _reduced(image: np.ndarray, image_size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((image_size, image_size), Image.Resampling.BOX))


def _reduced_mask(mask: np.ndarray, image_size: int) -> np.ndarray:
    """Returns a mask of shares or of truth values as uint8, 0 or 255."""
    return np.where(_reduced(np.rint(255 * mask).astype(np.uint8), image_size) >= 128, 255, 0).astype(np.uint8)
