import numpy as np
import pytest
from tiny_gan import CLASS_COUNTS, enlarge_weights, tiny_config

from melgan.gans.trainer import GanTrainer
from melgan.sampling import latents_at, sample_images

LABELS = np.arange(10) % 2


def assert_same_images(found, expected):
    """Equal but for one grey level: float sums are in another order in a batch of another size."""
    np.testing.assert_allclose(np.asarray(found, int), np.asarray(expected, int), rtol=0, atol=1)


@pytest.fixture(scope="module")
def generator(one_device):
    generator = GanTrainer(tiny_config(), CLASS_COUNTS, one_device).generator
    enlarge_weights(generator)
    return generator


@pytest.fixture(scope="module")
def images(generator):
    return np.stack(list(sample_images(generator, LABELS, seed=3)))


def test_images_are_uint8_of_the_generators_size(images):
    assert (images.shape, images.dtype) == ((10, 32, 32, 3), np.uint8)
    assert images.std() > 10


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_images_do_not_depend_on_the_batch(generator, images, batch_size):
    assert_same_images(list(sample_images(generator, LABELS, seed=3, batch_size=batch_size)), images)


def test_an_image_is_that_of_its_seed_index_and_label(generator, images):
    chosen = [7, 2, 2, 5]
    again = list(sample_images(generator, LABELS[chosen], seed=3, indices=chosen))
    assert_same_images(again, images[chosen])


def test_the_same_call_gives_the_same_bytes(generator, images):
    np.testing.assert_array_equal(list(sample_images(generator, LABELS, seed=3)), images)


@pytest.mark.parametrize(
    "changed", [{"seed": 4}, {"indices": [100]}, {"labels": [1 - LABELS[0]]}], ids=["seed", "index", "label"]
)
def test_another_seed_index_or_label_gives_another_image(generator, images, changed):
    settings = {"labels": LABELS[:1], "seed": 3} | changed
    assert np.abs(next(sample_images(generator, **settings)).astype(int) - images[0]).max() > 2


def test_latents_are_standard_normal_and_differ_by_index():
    latents = latents_at(0, range(100), 64).numpy()
    assert latents.shape == (100, 64)
    assert len(np.unique(latents)) > 0.99 * latents.size
    assert abs(latents.mean()) < 4 / 80  # 4 standard errors
    assert abs(latents.std() - 1) < 4 / 80 / 2**0.5


def test_nothing_to_draw(generator):
    assert list(sample_images(generator, [], seed=0)) == []
