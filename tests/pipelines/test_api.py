"""The library: its examples, and what they do not show."""

import doctest
import subprocess
import sys
import typing

import numpy as np
import pytest

from melgan import api
from tests.conftest import ROOT
from tfrecords_tools.foundation.errors import CommandError, ConfigError


@pytest.fixture(autouse=True)
def _runs(shards, gan, tmp_path, monkeypatch):
    """The folders that the examples read."""
    (tmp_path / "runs").mkdir()
    for name, folder in {"shards": shards, "gan": gan}.items():
        (tmp_path / "runs" / name).symlink_to(folder)
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_examples_of_the_functions_are_true():
    results = doctest.testmod(api)
    assert (results.failed, results.attempted > 20) == (0, True)


@pytest.mark.slow
def test_the_examples_of_the_page_are_true():
    results = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False)
    assert (results.failed, results.attempted > 10) == (0, True)


@pytest.mark.parametrize("name", [name for name in api.__all__ if name.islower()])
def test_every_function_has_types_and_tells_what_it_takes(name):
    function = getattr(api, name)
    hints = typing.get_type_hints(function)
    assert "return" in hints
    assert all(f"{argument}:" in function.__doc__ for argument in hints if argument not in ("return", "settings"))


def test_a_fold_is_apart_from_the_others():
    both = api.split_fold(api.open_shards("runs/shards"), num_folds=2, fold=1)
    training, held_out = (api.read_images(side, image_size=32) for side in both)
    assert len(training.names) + len(held_out.names) == len({*training.names, *held_out.names})
    assert len(held_out.names) > 50


def test_balanced_batches_have_as_many_images_of_each_class():
    batches = api.training_batches(api.open_shards("runs/shards"), image_size=32, batch_size=8, is_balanced=True)
    assert [np.bincount(batch["label"]).tolist() for batch in batches.take(3)] == [[4, 4]] * 3


def test_images_depend_on_seed_and_index_alone():
    generator = api.open_generator("runs/gan", seed=3)
    five, last = api.draw(generator, "malignant", 5), api.draw(generator, "malignant", 2, first=3)
    np.testing.assert_array_equal(last.images, five.images[3:])
    assert last.names.tolist() == ["seed 3, index 3", "seed 3, index 4"]


def test_the_distance_of_a_class_is_the_kernel_distance_of_its_features():
    real = api.read_images(api.open_shards("runs/shards"), image_size=32, most_per_class=6)
    samples, pixels = api.draw(api.open_generator("runs/gan"), "malignant", 6), api.extractor("pixels")
    rows = api.evaluate_images(samples, real, pixels, ("benign", "malignant"), metrics=["kid"])
    ones = pixels.extract(samples.images)[0], pixels.extract(real.images[real.labels == 1])[0]
    (found,) = [row for row in rows if row.value is not None]
    assert found.scope == "malignant"
    assert found.value == pytest.approx(api.kernel_distance(*ones), rel=1e-9)
    assert found.low < found.value < found.high


def test_equal_classifiers_do_not_differ():
    scores = np.linspace(0, 1, 30)
    both = np.stack([1 - scores, scores], axis=1)
    interval, delong = api.compare_classifiers(np.arange(30) % 2, both, both, groups=np.arange(30) // 2)
    assert interval == api.Interval(0.0, 0.0, 0.0)
    assert (delong.value, delong.p_value) == (0.0, 1.0)


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match="shard.*shards"):
        api.run("shard")
    with pytest.raises(ConfigError, match="inception"):
        api.extractor("outception")
    with pytest.raises(CommandError, match="benign, malignant"):
        api.draw(api.open_generator("runs/gan"), "mole", 1)


def test_the_package_alone_is_light():
    code = "import melgan, sys; print('tensorflow' in sys.modules, 'pipelines' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]
