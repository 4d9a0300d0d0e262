import numpy as np
import pytest
import tensorflow as tf

from melgan.gans.sampler import LabelSampler, latents_at
from melgan.gans.trainer import GanTrainer
from melgan.images import to_uint8
from melgan.sampling import BATCH_SIZE, Requests, first_requests
from tests.melgan.gans.tiny_gan import CLASS_COUNTS, enlarge_weights, random_boxes, random_table, tiny_config

CLASSES = ("benign", "malignant")
SEED = 3


def sampler_of(networks, config, seed=SEED):
    return LabelSampler(networks.generator, config, CLASSES, seed=seed, box_table=networks.box_table)


def requests(index, label, boxes=None, **conditions):
    return Requests(index=np.asarray(index), label=np.asarray(label, np.int32), boxes=boxes, **conditions)


REQUESTS = requests(range(10), np.arange(10) % 2)


def assert_same_images(found, expected):
    """Equal but for one grey level: float sums are in another order in a batch of another size."""
    np.testing.assert_allclose(np.asarray(found, int), np.asarray(expected, int), rtol=0, atol=1)


def furthest_pixels(found, expected):
    """The largest difference between pixels of each image."""
    return np.abs(np.asarray(found, int) - np.asarray(expected, int)).reshape(len(found), -1).max(axis=1)


@pytest.fixture(scope="module")
def trainer(one_device):
    trainer = GanTrainer(tiny_config(), CLASS_COUNTS, one_device)
    enlarge_weights(trainer.networks.generator, 0.2)
    return trainer


@pytest.fixture(scope="module")
def sampler(trainer):
    return sampler_of(trainer.networks, trainer.config)


@pytest.fixture(scope="module")
def images(sampler):
    return sampler.draw(REQUESTS).images


@pytest.fixture(scope="module")
def boxed(one_device):
    """The trainer of a generator that is told of boxes."""
    trainer = GanTrainer(tiny_config(method="cpggan", width=0.02), CLASS_COUNTS, one_device)
    enlarge_weights(trainer.networks.generator)
    trainer.networks.box_table.fill(random_table(2))
    return trainer


@pytest.fixture(scope="module")
def box_sampler(boxed):
    return sampler_of(boxed.networks, boxed.config)


def test_images_are_uint8_of_the_generators_size_and_made_from_noise(sampler):
    drawn = sampler.draw(REQUESTS)
    assert (drawn.images.shape, drawn.images.dtype) == ((10, 32, 32, 3), np.uint8)
    assert drawn.images.std() > 10
    assert drawn.boxes is None
    assert drawn.made_from == ((),) * 10


def test_it_knows_its_classes_size_and_endless_capacity(sampler):
    assert (sampler.classes, sampler.image_size) == (CLASSES, 32)
    assert [sampler.capacity(label) for label in range(2)] == [None, None]


def test_images_are_those_of_the_generator(trainer, images):
    latents = latents_at(SEED, range(10), 8)
    expected = trainer.networks.generator([latents, tf.constant(REQUESTS.label)], training=False)
    np.testing.assert_array_equal(images, to_uint8(expected))


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_images_do_not_depend_on_the_batch(sampler, images, batch_size):
    parts = [sampler.draw(batch).images for batch in REQUESTS.in_batches(batch_size)]
    assert_same_images(np.concatenate(parts), images)


def test_an_image_is_that_of_its_seed_index_and_label(sampler, images):
    chosen = [7, 2, 2, 5]
    assert_same_images(sampler.draw(REQUESTS.take(chosen)).images, images[chosen])


def test_the_same_requests_give_the_same_bytes(sampler, images):
    np.testing.assert_array_equal(sampler.draw(REQUESTS).images, images)


def test_more_requests_than_a_batch_are_drawn_batch_by_batch_to_the_same_bytes(sampler):
    many = requests(range(BATCH_SIZE + 6), np.arange(BATCH_SIZE + 6) % 2)
    parts = [sampler.draw(many.take(rows)).images for rows in (slice(BATCH_SIZE), slice(BATCH_SIZE, None))]
    np.testing.assert_array_equal(sampler.draw(many).images, np.concatenate(parts))


@pytest.mark.parametrize(
    ("seed", "index", "label"), [(4, 0, 0), (3, 100, 0), (3, 0, 1)], ids=["seed", "index", "label"]
)
def test_another_seed_index_or_label_gives_another_image(trainer, images, seed, index, label):
    other = sampler_of(trainer.networks, trainer.config, seed).draw(requests([index], [label])).images
    assert furthest_pixels(other, images[:1]).min() > 20


def test_nothing_to_draw(sampler, box_sampler):
    for each in (sampler, box_sampler):
        drawn = each.draw(first_requests(0, 0))
        assert (drawn.images.shape, drawn.made_from) == ((0, 32, 32, 3), ())


def test_it_draws_with_the_weights_of_the_moment(one_device):
    trainer = GanTrainer(tiny_config(), CLASS_COUNTS, one_device)
    sampler = sampler_of(trainer.networks, trainer.config)
    before = sampler.draw(REQUESTS).images
    enlarge_weights(trainer.networks.generator)
    assert furthest_pixels(sampler.draw(REQUESTS).images, before).min() > 2


def test_latents_are_standard_normal_and_differ_by_index():
    latents = latents_at(0, range(100), 64).numpy()
    assert latents.shape == (100, 64)
    assert len(np.unique(latents)) > 0.99 * latents.size
    assert abs(latents.mean()) < 4 / 80  # 4 standard errors
    assert abs(latents.std() - 1) < 4 / 80 / 2**0.5
    np.testing.assert_array_equal(latents_at(0, [7, 3, 7], 64), latents[[7, 3, 7]])


def test_the_way_between_two_images_turns_by_equal_angles(trainer, sampler):
    way = sampler.interpolate(1, 5)
    assert (way.shape, way.dtype) == ((5, 32, 32, 3), np.uint8)
    assert_same_images(way[[0, -1]], sampler.draw(first_requests(1, 2)).images)
    first, second = latents_at(SEED, [0, 1], 8).numpy().astype(np.float64)
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    middle = (first + second) / np.sqrt(2 * (1 + cosine))  # sin(a / 2) / sin(a) = 1 / (2 cos(a / 2))
    image = trainer.networks.generator([tf.constant(middle[None], tf.float32), tf.constant([1])], training=False)
    assert_same_images(way[2:3], to_uint8(image))
    assert furthest_pixels(way[1:], way[:-1]).min() > 20


@pytest.mark.parametrize("condition", ["boxes", "mask", "source"])
def test_without_a_box_table_no_condition_is_taken(sampler, condition):
    assert sampler.conditions == frozenset()
    with pytest.raises(ValueError, match=condition):
        sampler.draw(requests([0], [0], **{condition: np.zeros((1, 1, 4))}))


@pytest.mark.parametrize("condition", ["mask", "source"])
def test_with_a_box_table_boxes_are_the_only_condition(box_sampler, condition):
    assert box_sampler.conditions == {"boxes"}
    with pytest.raises(ValueError, match=condition):
        box_sampler.draw(requests([0], [0], random_boxes(1), **{condition: np.zeros((1, 32, 32))}))


INDEX, LABEL = [5, 0, 9], [0, 1, 1]


def test_boxes_not_given_are_the_generators_own_choice_and_told(boxed, box_sampler):
    drawn = box_sampler.draw(requests(INDEX, LABEL))
    chosen = boxed.networks.box_table(latents_at(SEED, INDEX, 8), tf.constant(LABEL))
    np.testing.assert_array_equal(drawn.boxes, chosen)
    images = boxed.networks.generator([latents_at(SEED, INDEX, 8), tf.constant(LABEL)], training=False)
    assert_same_images(drawn.images, to_uint8(images))
    given = box_sampler.draw(requests(INDEX, LABEL, drawn.boxes))
    assert_same_images(given.images, drawn.images)
    np.testing.assert_array_equal(given.boxes, drawn.boxes)


def test_boxes_that_are_given_are_drawn_and_told(box_sampler):
    by_choice = box_sampler.draw(requests(INDEX, LABEL))
    boxes = random_boxes(3, seed=7)
    elsewhere = box_sampler.draw(requests(INDEX, LABEL, boxes))
    np.testing.assert_array_equal(elsewhere.boxes, boxes)
    assert furthest_pixels(elsewhere.images, by_choice.images).min() > 2


def test_boxes_of_batch_mates_do_not_matter(box_sampler):
    whole = requests(INDEX, LABEL, random_boxes(3, seed=7))
    together = box_sampler.draw(whole)
    for row in range(3):
        alone = box_sampler.draw(whole.take([row]))
        assert_same_images(alone.images, together.images[row : row + 1])
        np.testing.assert_array_equal(alone.boxes, together.boxes[row : row + 1])
