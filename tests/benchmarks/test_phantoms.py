import numpy as np

from benchmarks.phantoms import draw_pairs, draw_phantoms


def test_phantoms_are_pairs_of_their_seed_of_both_classes():
    drawn = draw_phantoms(6, 32, seed=1)
    assert (drawn.images.shape, drawn.masks.shape) == ((6, 32, 32, 3), (6, 32, 32))
    assert set(np.unique(drawn.masks)) == {0, 255}
    np.testing.assert_array_equal(drawn.labels, [0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(draw_phantoms(4, 32, seed=1).images, drawn.images[:4])
    others = draw_phantoms(6, 32, seed=2)
    assert not set(others.names) & set(drawn.names)
    assert not np.array_equal(others.images, drawn.images)
    inside = [image[mask > 0].mean() for image, mask in zip(drawn.images, drawn.masks, strict=True)]
    outside = [image[mask == 0].mean() for image, mask in zip(drawn.images, drawn.masks, strict=True)]
    assert (np.array(inside) < np.array(outside)).all()


def test_both_of_a_pair_show_the_same_skin():
    benign, malignant = draw_pairs(4, 64, seed=3)
    assert list(benign.names) == list(malignant.names)
    np.testing.assert_array_equal(benign.labels, 0)
    np.testing.assert_array_equal(malignant.labels, 1)
    skin = (benign.masks == 0) & (malignant.masks == 0)
    apart = np.abs(benign.images.astype(int) - malignant.images).mean(axis=3)
    assert apart[skin].mean() < 0.2 * apart[~skin].mean()
