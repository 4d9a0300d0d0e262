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
    RealFeatures,
    all_arms,
    count_added,
    with_added,
)


@pytest.fixture
def real():
    """100 images, their numbers as features, two a patient, ten of the class; views are numbers + 0.1 to 0.7."""
    features = np.arange(100.0)[:, None]
    views = features[:10, None] + np.linspace(0.1, 0.7, 7)[None, :, None]
    return RealFeatures(features, np.arange(100) < 10, np.arange(100) // 2, views)


def added(real, kind, ratio=1.5):
    examples = (CONTROLS | IMITATIONS)[kind].make(real, ratio, np.random.default_rng(0))
    np.testing.assert_array_equal(examples.features[:100], real.features)
    assert examples.positive[100:].all()
    return examples.features[100:, 0]


def test_an_imitation_adds_as_many_images_as_a_generator(real):
    assert count_added(10, 1.5) == 15
    assert [len(added(real, kind)) for kind in IMITATIONS] == [15] * len(IMITATIONS)
    assert with_added(real, np.zeros((15, 1))).prior == pytest.approx(25 / 115)


def test_oversampling_shows_all_images_equally_often_up_to_one(real):
    counts = np.unique(added(real, OVERSAMPLED), return_counts=True)
    np.testing.assert_array_equal(counts[0], range(10))
    assert sorted(counts[1]) == [1] * 5 + [2] * 5


def test_duplicates_are_drawn_at_random(real):
    found, counts = np.unique(added(real, DUPLICATES, 10), return_counts=True)
    assert set(found) <= set(range(10))
    assert counts.max() > counts.min() + 2


def test_augmented_images_are_views_each_another(real):
    found = added(real, AUGMENTED, 7)
    np.testing.assert_allclose(sorted(found), sorted(real.views.ravel()))


def test_half_of_the_patients_with_the_class_are_hidden_and_nobody_else(real):
    examples = CONTROLS[HALF].make(real, 0, np.random.default_rng(0))
    assert (examples.positive.sum(), len(examples.positive)) == (6, 96)  # two of five patients are hidden
    kept = examples.features[examples.positive, 0]
    assert set(kept % 2) == {0, 1}
    assert len(set(kept // 2)) == 3
    np.testing.assert_array_equal(np.sort(examples.features[~examples.positive, 0]), np.arange(10, 100))


def test_shuffled_labels_are_as_many(real):
    examples = CONTROLS[SHUFFLED].make(real, 0, np.random.default_rng(0))
    assert examples.positive.sum() == 10
    assert not np.array_equal(examples.positive, real.positive)


def test_every_arm_is_compared_with_one_that_there_is():
    arms = all_arms(("gan", "r3gan"), (0.5, 2.0))
    names = [arm.name for arm in arms]
    assert len(set(names)) == len(names) == 5 + 6 + 4
    assert all(arm.baseline in names for arm in arms if arm.baseline)
    assert {arm.name: arm.baseline for arm in arms}[MORE_REAL] == HALF
    assert [arm.name for arm in arms if arm.is_synthetic] == ["gan 0.5", "gan 2", "r3gan 0.5", "r3gan 2"]
    assert {arm.kind for arm in arms if not arm.is_synthetic} == set(CONTROLS) | set(IMITATIONS)
    assert all(arm.imitation in names for arm in arms if arm.is_synthetic)
    assert [arm.name for arm in arms if arm.has_other_seeds] == [REPEATED]
    assert {arm.family for arm in arms if arm.kind in (NONE, OVERSAMPLED, DUPLICATES)} == {"controls"}
    assert {arm.family for arm in arms if arm.kind in (MORE_REAL, SHUFFLED)} == {MORE_REAL, SHUFFLED}
