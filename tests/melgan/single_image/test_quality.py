import numpy as np
import pytest

from melgan.single_image.quality import sample_diversity, source_distances


def grey(*levels, side=4):
    """Returns grey images, uint8 `[N, side, side, 3]`."""
    return np.ones((len(levels), side, side, 3), np.uint8) * np.array(levels, np.uint8)[:, None, None, None]


def test_distances_by_hand():
    np.testing.assert_allclose(source_distances(grey(0, 255, 51), grey(0)), [0.0, 2.0, 0.4])
    np.testing.assert_allclose(source_distances(grey(0, 255), grey(255, 255)), [2.0, 0.0])


def test_distance_is_a_root_of_a_mean_square():
    images = grey(0)
    images[0, 0, 0] = 255  # one of 16 pixels, all channels
    np.testing.assert_allclose(source_distances(images, grey(0)), [2 * np.sqrt(1 / 16)])


def test_diversity_by_hand():
    """Every pixel is 100 or 140, the deviation 20; the image's own pixels are 0 and 80, the deviation 40."""
    image = grey(0)[0]
    image[:2] = 80
    assert sample_diversity(grey(100, 140, 100, 140), image) == pytest.approx(0.5)
    assert sample_diversity(grey(100, 100), image) == 0.0


def test_diversity_is_of_intensities():
    """Red and green in turns are of one intensity."""
    samples = np.zeros((2, 4, 4, 3), np.uint8)
    samples[0, ..., 0] = samples[1, ..., 1] = 90
    image = grey(0)[0]
    image[:2] = 80
    assert sample_diversity(samples, image) == 0.0


def test_image_of_one_intensity_has_no_diversity_to_compare_with():
    assert sample_diversity(grey(1, 2), grey(7)[0]) is None
