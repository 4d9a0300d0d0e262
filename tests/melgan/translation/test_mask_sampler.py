from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from melgan.images import to_signed_float, to_uint8
from melgan.layers.dropout import apply_network
from melgan.sampling import BATCH_SIZE, Requests, Sampler, first_requests
from melgan.sources import Sources
from melgan.translation.box_outlines import boxes_of_spots, mask_of_boxes
from melgan.translation.conditions import condition_channels, condition_map, skin_colours
from melgan.translation.mask_edits import TRANSPLANT
from melgan.translation.mask_sampler import MaskSampler, noises_at
from melgan.translation.unet import build_unet
from tfrecords_tools.foundation.errors import ConfigError, DataError

CLASSES = ("benign", "malignant")
SIZE, COUNT, SEED = 16, 5, 3


def make_donors(count=COUNT, size=SIZE):
    """Squares of other sizes and places on skin of other colours."""
    rng = np.random.default_rng(0)
    images = np.tile(rng.integers(0, 256, (count, 1, 1, 3), np.uint8), (1, size, size, 1))
    masks = np.zeros((count, size, size), np.uint8)
    for number in range(count):
        masks[number, 3 + number : 8 + number, 4:10] = 255
    names = np.array([f"image {number}" for number in range(count)])
    return Sources(names, images, masks, np.arange(count) % 2)


DONORS = make_donors()


def make_generator(dropout):
    """A network that tells conditions apart."""
    generator = build_unet(SIZE, condition_channels(2), width=1 / 16, dropout=dropout)
    rng = np.random.default_rng(1)
    for weight in generator.weights:
        if weight.path.endswith("kernel"):
            weight.assign(rng.normal(0, 0.25, weight.shape))
    return generator


@pytest.fixture(scope="module")
def generator():
    return make_generator(dropout=0.0)


@pytest.fixture(scope="module")
def dropping_generator():
    return make_generator(dropout=0.5)


def requests(index, label, **conditions):
    return Requests(index=np.asarray(index), label=np.asarray(label, np.int32), **conditions)


def differences(found, expected):
    """The largest difference between pixels of each image."""
    return np.abs(np.asarray(found, int) - np.asarray(expected, int)).reshape(len(found), -1).max(axis=1)


def donor_numbers(drawn):
    return [tuple(int(name.split()[-1]) for name in names) for names in drawn.made_from]


def test_an_image_is_the_generators_from_the_mask_and_the_skin_of_its_donor(generator):
    drawn = MaskSampler(generator, DONORS, CLASSES, seed=SEED).draw(first_requests(1, COUNT))
    assert drawn.made_from == tuple((f"image {number}",) for (number,) in donor_numbers(drawn))
    rows = [number for (number,) in donor_numbers(drawn)]
    assert sorted(rows) == list(range(COUNT))
    assert rows != sorted(rows)
    np.testing.assert_array_equal(drawn.masks, DONORS.masks[rows])
    masks = tf.constant(DONORS.masks[rows][..., None])
    colours = skin_colours(to_signed_float(DONORS.images[rows]), masks)
    np.testing.assert_allclose(colours, to_signed_float(DONORS.images[rows])[:, 0, 0], atol=1e-4)
    conditions = condition_map(masks, colours, np.ones(COUNT, np.int32), 2)
    np.testing.assert_array_equal(drawn.images, to_uint8(apply_network(generator, conditions, None)))
    assert drawn.images.std() > 10


def test_it_knows_its_classes_size_and_conditions(generator):
    sampler: Sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED)
    assert (sampler.classes, sampler.image_size, sampler.conditions) == (CLASSES, SIZE, {"mask"})
    assert sampler.interpolate(0, 5) is None


@pytest.mark.parametrize(
    ("edits", "capacity"), [((), COUNT), (("shift",), None), ((TRANSPLANT,), None), (("mirror", TRANSPLANT), None)]
)
def test_without_edits_and_other_skins_there_are_as_many_images_as_donors(generator, edits, capacity):
    sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=edits)
    assert [sampler.capacity(label) for label in range(2)] == [capacity] * 2
    again = sampler.draw(requests([0, COUNT], [0, 0])).images
    assert (differences(again[:1], again[1:])[0] == 0) == (capacity is not None)


def test_donors_without_a_lesion_give_no_mask_but_skin(generator):
    masks = DONORS.masks.copy()
    masks[[0, 3]] = 0
    donors = Sources(DONORS.names, DONORS.images, masks, DONORS.labels)
    assert MaskSampler(generator, donors, CLASSES, seed=SEED).capacity(0) == 3
    drawn = MaskSampler(generator, donors, CLASSES, seed=SEED, edits=[TRANSPLANT]).draw(first_requests(0, 40))
    assert {pair[0] for pair in donor_numbers(drawn)} == {1, 2, 4}
    assert {pair[1] for pair in donor_numbers(drawn)} == {0, 1, 2, 3, 4}


def test_requests_that_differ_in_their_class_are_one_mask_in_several_classes(generator):
    sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=["shift", TRANSPLANT])
    benign, malignant = (sampler.draw(first_requests(label, 8)) for label in range(2))
    np.testing.assert_array_equal(benign.masks, malignant.masks)
    assert benign.made_from == malignant.made_from
    assert differences(benign.images, malignant.images).min() > 5


def test_an_edit_moves_the_lesion(generator):
    plain = MaskSampler(generator, DONORS, CLASSES, seed=SEED).draw(first_requests(0, COUNT))
    moved = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=["shift"]).draw(first_requests(0, COUNT))
    assert moved.made_from == plain.made_from
    assert not np.array_equal(moved.masks, plain.masks)
    assert differences(moved.images, plain.images).max() > 5
    strong = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=["shift"], edit_strength=0.0)
    np.testing.assert_array_equal(strong.draw(first_requests(0, COUNT)).masks, plain.masks)


def test_a_transplanted_mask_lies_on_the_skin_of_another(generator):
    drawn = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=[TRANSPLANT]).draw(first_requests(0, 100))
    pairs = donor_numbers(drawn)
    np.testing.assert_array_equal(drawn.masks, DONORS.masks[[mask for mask, _ in pairs]])
    assert set(pairs) == {(mask, skin) for mask in range(COUNT) for skin in range(COUNT) if mask != skin}


@pytest.mark.parametrize("given", [bool, np.uint8, np.float32], ids=lambda kind: kind.__name__)
def test_masks_may_be_given_and_are_not_edited(generator, given):
    masks = np.zeros((2, SIZE, SIZE), given)
    masks[0, 2:6, 8:12] = masks[1, 9:, 9:] = 255 if given is np.uint8 else 1
    sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=["shift", "turn"])
    drawn = sampler.draw(requests([0, 1], [0, 1], mask=masks))
    np.testing.assert_array_equal(drawn.masks, np.where(masks, 255, 0))
    assert drawn.made_from == sampler.draw(requests([0, 1], [0, 1])).made_from  # of whose skin they are


def test_a_given_mask_on_another_skin_is_made_from_the_skin_alone(generator):
    sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=[TRANSPLANT])
    own = sampler.draw(first_requests(0, 4))
    given = sampler.draw(requests(range(4), np.zeros(4), mask=np.ones((4, SIZE, SIZE))))
    assert given.made_from == tuple(names[1:] for names in own.made_from)


def test_a_generator_that_is_not_told_of_skin_draws_without_it(generator):
    sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED, skin_colour=False)
    drawn = sampler.draw(first_requests(0, COUNT))
    assert sorted(donor_numbers(drawn)) == [(number,) for number in range(COUNT)]
    conditions = condition_map(drawn.masks[..., None], np.zeros((COUNT, 3)), np.zeros(COUNT, np.int32), 2)
    np.testing.assert_array_equal(drawn.images, to_uint8(apply_network(generator, conditions, None)))
    given = sampler.draw(requests([0], [0], mask=np.ones((1, SIZE, SIZE))))
    assert given.made_from == ((),)


@pytest.mark.parametrize("dropout", [False, True])
def test_an_image_is_that_of_its_seed_index_and_label(dropping_generator, dropout):
    edits = ["mirror", "scale", TRANSPLANT]
    sampler = MaskSampler(dropping_generator, DONORS, CLASSES, seed=SEED, edits=edits, dropout=dropout)
    whole = sampler.draw(requests(range(12), np.arange(12) % 2))
    np.testing.assert_array_equal(sampler.draw(requests(range(12), np.arange(12) % 2)).images, whole.images)
    chosen = [7, 2, 2, 5]
    some = sampler.draw(requests(chosen, np.array(chosen) % 2))
    assert differences(some.images, whole.images[chosen]).max() <= 1  # sums are in another order in another batch
    np.testing.assert_array_equal(some.masks, whole.masks[chosen])
    other = MaskSampler(dropping_generator, DONORS, CLASSES, seed=4, edits=edits, dropout=dropout)
    assert differences(other.draw(requests(chosen, np.array(chosen) % 2)).images, some.images).max() > 5


def test_dropout_is_noise_of_the_index(dropping_generator):
    still = MaskSampler(dropping_generator, DONORS, CLASSES, seed=SEED, dropout=False)
    noisy = MaskSampler(dropping_generator, DONORS, CLASSES, seed=SEED)
    same_donor = requests([0, COUNT], [0, 0])
    assert differences(*np.split(still.draw(same_donor).images, 2))[0] == 0
    assert differences(*np.split(noisy.draw(same_donor).images, 2))[0] > 5


def test_more_requests_than_a_batch_are_drawn_batch_by_batch(generator):
    sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=["shift"])
    many = first_requests(0, BATCH_SIZE + 3)
    whole, end = sampler.draw(many), sampler.draw(many.take(slice(BATCH_SIZE, None)))
    np.testing.assert_array_equal(whole.images[BATCH_SIZE:], end.images)
    assert whole.made_from[BATCH_SIZE:] == end.made_from
    assert len(whole.masks) == BATCH_SIZE + 3


def test_nothing_to_draw(generator):
    drawn = MaskSampler(generator, DONORS, CLASSES, seed=SEED).draw(first_requests(0, 0))
    assert (drawn.images.shape, drawn.masks.shape) == ((0, SIZE, SIZE, 3), (0, SIZE, SIZE))
    assert drawn.made_from == ()


def test_noise_is_uniform_and_each_images_own():
    first, second = noises_at(0, range(50), [(4, 4, 2), (8, 8, 1)])
    assert (first.shape, second.shape) == ((50, 4, 4, 2), (50, 8, 8, 1))
    for noise in (first.numpy(), second.numpy()):
        assert noise.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * noise.size))
        assert len(np.unique(noise)) > 0.99 * noise.size
    np.testing.assert_array_equal(noises_at(0, [7, 3], [(4, 4, 2)])[0], first.numpy()[[7, 3]])


@pytest.mark.parametrize("condition", ["boxes", "source"])
def test_conditions_that_it_does_not_take_are_refused(generator, condition):
    with pytest.raises(ValueError, match=condition):
        MaskSampler(generator, DONORS, CLASSES, seed=SEED).draw(requests([0], [0], **{condition: np.zeros((1, 1, 4))}))


def test_masks_of_another_size_are_refused(generator):
    with pytest.raises(ValueError, match="8"):
        MaskSampler(generator, DONORS, CLASSES, seed=SEED).draw(requests([0], [0], mask=np.zeros((1, 8, 8))))


def test_donors_that_cannot_be_drawn_from_are_refused(generator):
    def refused(donors, match, **settings):
        with pytest.raises(DataError, match=match):
            MaskSampler(generator, donors, CLASSES, seed=SEED, **settings)

    refused(Sources(DONORS.names, DONORS.images, None, DONORS.labels), "masks")
    refused(Sources(DONORS.names, DONORS.images, np.zeros_like(DONORS.masks), DONORS.labels), "lesion")
    refused(make_donors(size=32), "32")
    refused(make_donors(count=1), TRANSPLANT, edits=[TRANSPLANT])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"edits": ["grow"]}, "grow"),
        ({"edit_strength": -1.0}, "-1"),
        ({"edits": [TRANSPLANT], "skin_colour": False}, "transplant"),
    ],
)
def test_settings_that_cannot_be_are_refused(generator, settings, named):
    with pytest.raises(ConfigError, match=named):
        MaskSampler(generator, DONORS, CLASSES, seed=SEED, **settings)


def test_a_network_of_boxes_draws_from_the_filled_boxes_of_edited_masks(generator):
    edited = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=["turn"]).draw(first_requests(1, COUNT))
    sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED, edits=["turn"], outlined_by="boxes")
    drawn = sampler.draw(first_requests(1, COUNT))
    assert (sampler.conditions, drawn.masks) == ({"boxes"}, None)
    np.testing.assert_array_equal(drawn.boxes, [boxes_of_spots(mask) for mask in edited.masks])
    filled = np.stack([mask_of_boxes(boxes, SIZE) for boxes in drawn.boxes])
    assert (filled != edited.masks).any()
    given = MaskSampler(generator, DONORS, CLASSES, seed=SEED).draw(replace(first_requests(1, COUNT), mask=filled))
    np.testing.assert_array_equal(drawn.images, given.images)
    assert drawn.made_from == edited.made_from


def test_boxes_may_be_given_and_are_kept_as_they_are(generator):
    boxes = np.zeros((COUNT, 2, 4), np.float32)
    boxes[:, 0] = 0.1, 0.2, 0.61, 0.7
    sampler = MaskSampler(generator, DONORS, CLASSES, seed=SEED, skin_colour=False, outlined_by="boxes")
    drawn = sampler.draw(replace(first_requests(0, COUNT), boxes=boxes))
    np.testing.assert_array_equal(drawn.boxes, boxes)
    assert drawn.made_from == ((),) * COUNT
    with pytest.raises(ValueError, match="mask"):
        sampler.draw(requests([0], [0], mask=np.zeros((1, SIZE, SIZE))))
