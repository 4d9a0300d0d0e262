"""Features are computed once for equal images, extractor and views, and again for others."""

import numpy as np
import pytest

from melgan.metrics.extractors import Extractor
from pipelines.artefacts.feature_store import FeatureStore
from pipelines.artefacts.image_sets import ImageSet, Part


def counting_extractor(identity: str, calls: list, with_classes: bool = True) -> Extractor:
    def extract(images):
        calls.append(len(images))
        features = images.reshape(len(images), -1)[:, :5].astype(np.float32)
        return features, np.full((len(images), 2), 0.5) if with_classes else None

    return Extractor(f"counting {identity}", identity, extract)


def images_of(seed: int, count: int = 70) -> ImageSet:
    images = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3)).astype(np.uint8)
    rows = np.arange(count)
    return ImageSet(images, rows % 2, rows, rows.astype(str), (Part(f"key {seed}", count),))


def joined(*sets: ImageSet) -> ImageSet:
    arrays = (
        np.concatenate([getattr(each, name) for each in sets]) for name in ("images", "labels", "groups", "names")
    )
    return ImageSet(*arrays, tuple(part for each in sets for part in each.parts))


def test_equal_images_are_extracted_once(tmp_path):
    calls = []
    first = FeatureStore(tmp_path, counting_extractor("a", calls)).samples(images_of(0), "images")
    assert calls == [64, 6]
    second = FeatureStore(tmp_path, counting_extractor("a", calls)).samples(images_of(0), "images")
    assert calls == [64, 6]
    np.testing.assert_array_equal(first.features, second.features)
    np.testing.assert_array_equal(first.probabilities, second.probabilities)
    np.testing.assert_array_equal(first.features, images_of(0).images.reshape(70, -1)[:, :5])


def test_other_images_extractors_or_views_are_extracted_anew(tmp_path):
    calls = []
    for identity, seed, views in (("a", 0, False), ("a", 1, False), ("b", 0, False), ("a", 0, True)):
        FeatureStore(tmp_path, counting_extractor(identity, calls)).samples(images_of(seed), "images", views=views)
    assert len(calls) == 2 + 2 + 2 + 16
    assert len(list(tmp_path.iterdir())) == 4


def test_only_the_parts_that_are_new_are_extracted_and_all_stand_in_their_order(tmp_path):
    calls = []
    store = FeatureStore(tmp_path, counting_extractor("a", calls))
    store.samples(images_of(1, count=10), "images")
    all_of_them = joined(images_of(0, count=60), images_of(1, count=10), images_of(2, count=20))
    samples = store.samples(all_of_them, "images")
    assert calls == [10, 64, 16]
    np.testing.assert_array_equal(samples.features, all_of_them.images.reshape(90, -1)[:, :5])
    assert samples.probabilities.shape == (90, 2)
    store.samples(joined(images_of(2, count=20), images_of(0, count=60)), "images")
    assert calls == [10, 64, 16]


def test_features_of_all_views_hold_those_of_the_image(tmp_path):
    calls = []
    store = FeatureStore(tmp_path, counting_extractor("a", calls))
    views = store.samples(images_of(0), "images", views=True)
    known = len(calls)
    alone = store.samples(images_of(0), "images")
    assert len(calls) == known
    np.testing.assert_array_equal(alone.features, views.features)
    assert alone.views is None


def test_the_first_view_is_the_image_itself_and_the_third_is_upside_down(tmp_path):
    samples = FeatureStore(tmp_path, counting_extractor("a", [])).samples(images_of(0), "images", views=True)
    assert samples.views.shape == (70, 8, 5)
    np.testing.assert_array_equal(samples.views[:, 0], samples.features)
    upside_down = images_of(0).images[:, ::-1, ::-1].reshape(70, -1)[:, :5]
    np.testing.assert_array_equal(samples.views[:, 2], upside_down)


def test_an_extractor_without_classes_gives_no_probabilities(tmp_path):
    store = FeatureStore(tmp_path, counting_extractor("a", [], with_classes=False))
    assert store.samples(images_of(0), "images").probabilities is None
    assert store.samples(images_of(0), "images").probabilities is None  # from the file


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"rubbish", lambda data: b""])
def test_a_damaged_file_is_told_and_made_again(tmp_path, damage, caplog):
    caplog.set_level("WARNING", logger="absl")
    first = FeatureStore(tmp_path, counting_extractor("a", [])).samples(images_of(0), "images")
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    calls = []
    again = FeatureStore(tmp_path, counting_extractor("a", calls)).samples(images_of(0), "images")
    assert calls == [64, 6]
    assert str(path) in caplog.text
    np.testing.assert_array_equal(again.features, first.features)


def test_a_file_of_fewer_images_is_not_believed(tmp_path):
    calls = []
    store = FeatureStore(tmp_path, counting_extractor("a", calls))
    store.samples(images_of(0, count=50), "images")
    assert len(store.samples(images_of(0), "images").features) == 70  # an equal key, which should never be
    assert calls == [50, 64, 6]
