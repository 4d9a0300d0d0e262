import numpy as np
import pytest
from PIL import Image

from melgan.metrics.diversity import COLLAPSED_BELOW, relative_diversity
from tfrecords_tools.foundation.errors import ConfigError


def halves(left, right, side=32):
    """An image whose left half has one grey value and whose right half another."""
    image = np.full((side, side, 3), left, np.uint8)
    image[:, side // 2 :] = right
    return image


def test_value_by_hand():
    # Without its mean, an image with halves of m - a and m + a is at distance |a - b| from one with -b and +b, in each
    # of 16 * 16 * 3 numbers. Real: a = 0, 10, 40, so |a - b| = 10, 40, 30; fake: a = 5, 25, so 20.
    real = np.stack([halves(100, 100), halves(90, 110), halves(60, 140)])
    fake = np.stack([halves(195, 205), halves(25, 75)])
    assert relative_diversity(fake, real) == pytest.approx(20 / (80 / 3), rel=1e-12)


def test_equal_images_have_none_and_equal_sets_have_all():
    images = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3)).astype(np.uint8)
    assert relative_diversity(np.repeat(images[:1], 7, axis=0), images) == 0
    assert relative_diversity(images[::-1], images) == pytest.approx(1, rel=1e-12)


def test_shades_and_fine_patterns_do_not_count():
    real = np.stack([halves(50, 200), halves(200, 50), halves(90, 110)])
    shades = np.stack([halves(10, 30), halves(110, 130), halves(200, 220)])
    assert relative_diversity(shades, real) == pytest.approx(0, abs=1e-12)
    checks = np.indices((32, 32)).sum(axis=0)[..., None] % 2 * 100
    patterned = np.stack([checks, 100 - checks, 50 + 0 * checks]).repeat(3, axis=-1).astype(np.uint8)
    assert relative_diversity(patterned, real) == pytest.approx(0, abs=1e-12)


def test_size_and_number_of_images_do_not_matter():
    real = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
    enlarged = real.repeat(4, axis=1).repeat(4, axis=2)
    assert relative_diversity(enlarged[:4], enlarged) == pytest.approx(relative_diversity(real[:4], real), rel=1e-12)


@pytest.mark.parametrize(("fakes", "reals"), [(1, 3), (0, 3), (3, 1), (3, 0)])
def test_fewer_than_two_images_have_no_diversity(fakes, reals):
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    assert relative_diversity(images[:fakes], images[:reals]) is None


def test_real_images_that_are_all_equal_have_no_diversity():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
    assert relative_diversity(images, images[[0, 0, 0]]) is None


def test_sides_that_do_not_divide_are_refused():
    images = np.zeros((2, 32, 40, 3), np.uint8)
    with pytest.raises(ConfigError, match="32 x 40.* 16"):
        relative_diversity(images, images)


@pytest.fixture(scope="module")
def cells(real_data):
    """64 images of each class of the real cells, in an order of their own."""
    paths = {}
    for text in sorted((real_data / "cells" / "train").glob("*.txt")):
        paths.setdefault(text.read_text().strip(), []).append(text.with_suffix(".png"))
    rng = np.random.default_rng(0)
    drawn = {name: rng.permutation(found)[:64] for name, found in paths.items()}
    return {name: np.stack([_read(path) for path in found]) for name, found in drawn.items()}


def _read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((64, 64)))


def test_real_classes_are_as_diverse_as_themselves(cells):
    assert set(cells) == {"red blood cell", "ring", "schizont", "trophozoite"}
    for images in cells.values():
        assert 0.7 < relative_diversity(images[:32], images[32:]) < 1.3


def test_one_real_image_with_noise_or_in_many_colours_has_collapsed(cells):
    rng = np.random.default_rng(0)
    for images in cells.values():
        noise, colours = rng.normal(0, 20, (32, 64, 64, 3)), rng.normal(0, 25, (32, 1, 1, 3))
        for change in (noise, colours):
            fakes = np.clip(np.round(images[0] + change), 0, 255).astype(np.uint8)
            assert relative_diversity(fakes, images[32:]) < 0.2 < COLLAPSED_BELOW


def test_two_real_images_in_turns_have_not_collapsed(cells):
    """Fewer forms than the class has, far from each other: another fault, which the grids show."""
    for images in cells.values():
        assert relative_diversity(images[[0, 1] * 16], images[32:]) > COLLAPSED_BELOW
