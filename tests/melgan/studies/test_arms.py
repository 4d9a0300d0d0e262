import numpy as np
import pytest

from melgan.studies.arms import (
    AUGMENTED,
    CONTROLS,
    DUPLICATES,
    HALF,
    IMITATIONS,
    MORE_REAL,
    NONE,
    OVERSAMPLED,
    REPEATED,
    SHUFFLED,
    UNAUGMENTED,
    Arm,
    TrainingImages,
    all_arms,
    count_added,
)


@pytest.fixture
def real():
    """100 images, two a patient, the first ten of the class."""
    return TrainingImages(np.arange(100) < 10, np.arange(100) // 2)


def select(real, kind, ratio=1.5):
    return (CONTROLS | IMITATIONS)[kind].select(real, ratio, np.random.default_rng(0))


def repeated(real, kind, ratio=1.5):
    """The images of the class that are added to all real ones."""
    selection = select(real, kind, ratio)
    np.testing.assert_array_equal(selection.rows[:100], np.arange(100))
    np.testing.assert_array_equal(selection.labelled_as, selection.rows)
    return selection.rows[100:]


def test_an_arm_adds_as_many_images_whatever_it_adds(real):
    arms = [Arm("gan", 1.5), *(Arm(kind, 1.5, control) for kind, control in IMITATIONS.items())]
    selections = [arm.select(real, np.random.default_rng(0)) for arm in arms]
    assert count_added(10, 1.5) == 15
    assert {selection.num_images for selection in selections} == {115}
    assert {selection.prior(real.positive) for selection in selections} == {25 / 115}


def test_oversampling_shows_all_images_equally_often_up_to_one(real):
    counts = np.unique(repeated(real, OVERSAMPLED), return_counts=True)
    np.testing.assert_array_equal(counts[0], range(10))
    assert sorted(counts[1]) == [1] * 5 + [2] * 5


def test_duplicates_are_drawn_at_random(real):
    found, counts = np.unique(repeated(real, DUPLICATES, 10), return_counts=True)
    assert set(found) <= set(range(10))
    assert counts.max() > counts.min() + 2


def test_augmented_images_are_views_each_another(real):
    np.testing.assert_array_equal(np.sort(select(real, AUGMENTED, 7).views), np.arange(70))


def test_half_of_the_patients_with_the_class_are_hidden_and_nobody_else(real):
    rows = select(real, HALF, 0).rows
    kept = rows[rows < 10]
    assert (len(kept), len(rows)) == (6, 96)  # two of five patients are hidden
    assert set(kept % 2) == {0, 1}
    assert len(set(kept // 2)) == 3
    np.testing.assert_array_equal(np.sort(rows[rows >= 10]), np.arange(10, 100))


def test_shuffled_labels_are_as_many(real):
    selection = select(real, SHUFFLED, 0)
    np.testing.assert_array_equal(selection.rows, np.arange(100))
    np.testing.assert_array_equal(np.sort(selection.labelled_as), np.arange(100))
    assert not np.array_equal(real.positive[selection.labelled_as], real.positive)


def test_networks_augment_by_themselves():
    """So turned images are no arm of theirs, but images as they are."""
    linear, networks = ({arm.kind for arm in all_arms(("gan",), (1.0,), networks=which)} for which in (False, True))
    assert (linear - networks, networks - linear) == ({AUGMENTED}, {UNAUGMENTED})
    assert CONTROLS[UNAUGMENTED].recipe == {"augmentation": "none"}


def test_arms_of_the_same_images_and_seeds_share_their_trainings():
    shared = {arm.name: arm.trained_as for arm in all_arms(("gan",), (1.0,)) if arm.trained_as != arm.name}
    assert shared == {MORE_REAL: NONE}


def test_every_arm_is_compared_with_one_that_there_is():
    arms = all_arms(("gan", "r3gan"), (0.5, 2.0))
    names = [arm.name for arm in arms]
    assert len(set(names)) == len(names) == 5 + 6 + 4
    assert all(arm.baseline in names for arm in arms if arm.baseline)
    assert {arm.name: arm.baseline for arm in arms}[MORE_REAL] == HALF
    assert [arm.name for arm in arms if arm.is_synthetic] == ["gan 0.5", "gan 2", "r3gan 0.5", "r3gan 2"]
    assert {arm.kind for arm in arms if not arm.is_synthetic} == (set(CONTROLS) | set(IMITATIONS)) - {UNAUGMENTED}
    assert all(arm.imitation in names for arm in arms if arm.is_synthetic)
    assert [arm.name for arm in arms if arm.has_other_seeds] == [REPEATED]
    assert {arm.family for arm in arms if arm.kind in (NONE, OVERSAMPLED, DUPLICATES)} == {"controls"}
    assert {arm.family for arm in arms if arm.kind in (MORE_REAL, SHUFFLED)} == {MORE_REAL, SHUFFLED}
