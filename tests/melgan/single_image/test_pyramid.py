import math

import numpy as np
import pytest
from PIL import Image

from melgan.single_image.pyramid import pyramid_sizes, real_pyramid


def published_sizes(side, min_size=25, factor=0.75):
    """As in the authors' `adjust_scales2image` and `creat_reals_pyramid`, of an image that need not shrink."""
    num_scales = math.ceil(math.log(min_size / side, factor)) + 1
    adjusted = (min_size / side) ** (1 / num_scales)
    finer = [math.ceil(side * adjusted ** (num_scales - number)) for number in range(1, num_scales + 1)]
    return (min_size, *finer)


@pytest.mark.parametrize(
    ("image_size", "sizes"),
    [(64, (25, 31, 37, 44, 54, 64)), (128, (25, 32, 40, 51, 64, 81, 102, 128))],
)
def test_sizes_by_hand(image_size, sizes):
    assert pyramid_sizes(image_size, 25, 0.75) == sizes == published_sizes(image_size)


def test_sizes_of_256_px():
    """The authors would shrink it to 250 px, and have the same number of scales but one."""
    sizes = pyramid_sizes(256, 25, 0.75)
    assert sizes == published_sizes(256)
    assert len(sizes) == 11
    ratios = np.divide(sizes[:-1], sizes[1:])
    assert ratios.min() > 0.75


def test_coarsest_scale_has_exactly_the_least_size():
    for image_size in range(30, 250, 7):
        sizes = pyramid_sizes(image_size, 25, 0.75)
        assert (sizes[0], sizes[-1]) == (25, image_size)
        assert list(sizes) == sorted(sizes)


def test_pyramid_holds_the_image_at_every_scale():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8)
    pyramid = real_pyramid(image, (11, 13, 16))
    assert [real.shape for real in pyramid] == [(1, 11, 11, 3), (1, 13, 13, 3), (1, 16, 16, 3)]
    np.testing.assert_allclose(pyramid[-1][0], image / 127.5 - 1, atol=1e-6)
    red = Image.fromarray(np.float32(image[..., 0] / 127.5 - 1)).resize((11, 11), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(pyramid[0][0, ..., 0], np.clip(red, -1, 1), atol=1e-5)


def test_no_scale_leaves_the_range_of_images():
    """A sharp edge overshoots where it is resized."""
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = 255
    assert {(real.min(), real.max()) for real in real_pyramid(image, (25, 27))} == {(-1.0, 1.0)}
