"""Images beside their activation maps."""

import io

import numpy as np
from PIL import Image

from pipelines.pages.activation_pictures import TILE, ActivationPair, activation_picture, overlaid

IMAGE = np.full((4, 4, 3), (200, 100, 50), np.uint8)


def test_a_map_covers_the_image_by_its_colour_the_more_the_more_there_is():
    activation = np.zeros((4, 4))
    activation[1, 2], activation[3, 3] = 1, 0.5
    shown = overlaid(IMAGE, activation)
    covered = np.abs(shown.astype(int) - IMAGE).sum(axis=-1)
    assert covered[1, 2] > covered[3, 3] > 0
    assert np.count_nonzero(covered) == 2


def test_images_stand_in_rows_each_beside_its_map_above_its_lines():
    pairs = [ActivationPair(IMAGE, np.ones((4, 4)), ("\u202ename", "a, predicted b 0.9"))] * 5
    picture = np.asarray(Image.open(io.BytesIO(activation_picture(pairs).png)))
    alone = np.asarray(Image.open(io.BytesIO(activation_picture(pairs[:1]).png)))
    assert picture.shape[1] > 4 * 2 * TILE
    assert picture.shape[0] > 2 * alone.shape[0]
    assert (alone[TILE // 2, TILE // 2] == IMAGE[0, 0]).all()
    assert (alone[TILE // 2, TILE + TILE // 2] != IMAGE[0, 0]).any()
    assert (alone[TILE + 2 :] < 128).any()
