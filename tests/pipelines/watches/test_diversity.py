"""Per-class diversity in training: its values, when a class is warned about, and what is written down."""

import logging

import keras
import numpy as np
import pytest

from melgan.gans.config import GanConfig
from melgan.gans.sampler import LabelSampler
from pipelines.artefacts.diversity_history import Diversity, read_diversity
from pipelines.artefacts.metrics_file import MetricsWriter, read_metrics
from pipelines.watches.diversity import DiversityWatch, measure_diversity, newly_collapsed

CLASSES = ("benign", "malignant", "single")
LATENTS = 16 * 16 * 3
HEALTHY, COLLAPSED = (0.2, 0.2, 0.2), (0.2, 0.01, 0.2)


class Training:
    """A sampler of a generator whose image of a class is the latents times the contrast of the class."""

    def __init__(self, *contrasts, seed=0):
        latents, labels = keras.Input((LATENTS,)), keras.Input((), dtype="int32")
        self._contrast = keras.layers.Embedding(len(contrasts), 1)
        images = keras.layers.Reshape((16, 16, 3))(keras.layers.Multiply()([latents, self._contrast(labels)]))
        config = GanConfig(latent_dim=LATENTS, image_size=16)
        self.sampler = LabelSampler(keras.Model([latents, labels], images), config, CLASSES, seed=seed)
        self.reach(contrasts)

    def reach(self, contrasts):
        self._contrast.set_weights([np.reshape(contrasts, (-1, 1))])


@pytest.fixture(scope="module")
def real_images():
    """Images of two classes drawn as the generator of contrast 0.2 draws them, and one image of a third."""
    numbers = np.random.default_rng(0).normal(127.5, 0.2 * 127.5, (2, 20, 16, 16, 3))
    images = np.clip(np.round(numbers), 0, 255).astype(np.uint8)
    return [*images, images[0, :1]]


def watch(workdir, training, real_images, start_step=0):
    return DiversityWatch(workdir, training.sampler, real_images, start_step=start_step)


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_diversity_is_that_of_the_contrast(real_images):
    diversity = measure_diversity(Training(0.2, 0.02, 0.2).sampler, real_images)
    assert diversity == pytest.approx({"benign": 1, "malignant": 0.1}, rel=0.03)


def test_same_seed_same_diversity(real_images):
    first, same, other = (
        measure_diversity(Training(0.2, 0.02, 0.2, seed=seed).sampler, real_images) for seed in (3, 3, 4)
    )
    assert first == same
    assert first["benign"] != other["benign"]


def test_a_class_that_collapses_is_warned_about_once_until_it_recovers(real_images, tmp_path, caplog):
    training = Training(*HEALTHY)

    def measure(watching, step, contrasts):
        training.reach(contrasts)
        watching.measure(step)

    first = watch(tmp_path, training, real_images)
    for step, contrasts in ((100, HEALTHY), (200, COLLAPSED), (300, COLLAPSED)):
        measure(first, step, contrasts)
    (warning,) = warnings_of(caplog)
    assert warning.startswith("step 200: ")
    assert "malignant (0.05" in warning
    assert "--augmentation=diffaugment" in warning
    again = watch(tmp_path, training, real_images, start_step=300)  # a run that resumes
    measure(again, 400, COLLAPSED)
    assert len(warnings_of(caplog)) == 1
    measure(again, 500, HEALTHY)
    measure(again, 600, COLLAPSED)
    assert [text[:8] for text in warnings_of(caplog)] == ["step 200", "step 600"]


def test_every_measurement_is_a_line_of_metrics(real_images, tmp_path):
    MetricsWriter(tmp_path, "gan", 0).write(50, {"generator_loss": 0.5})
    training = Training(0.2, 0.02, 0.2)
    first = watch(tmp_path, training, real_images)
    for step in (100, 200):
        first.measure(step)
    lines = read_metrics(tmp_path)
    assert [(line.series, line.step) for line in lines] == [("gan", 50), ("diversity", 100), ("diversity", 200)]
    assert set(lines[1].metrics) == {"diversity_benign", "diversity_malignant"}
    assert [diversity.of_class["malignant"] for diversity in read_diversity(tmp_path)] == [
        line.metrics["diversity_malignant"] for line in lines[1:]
    ]


def test_a_step_that_is_measured_again_has_one_line(real_images, tmp_path):
    training = Training(*HEALTHY)
    first = watch(tmp_path, training, real_images)
    for contrasts in (HEALTHY, COLLAPSED):
        training.reach(contrasts)
        first.measure(100)
    (diversity,) = read_diversity(tmp_path)
    assert diversity.collapsed == {"malignant"}


def test_measurements_after_the_step_that_a_run_resumes_from_are_dropped(real_images, tmp_path):
    training = Training(0.2, 0.02, 0.2)
    first = watch(tmp_path, training, real_images)
    for step in (100, 200, 300):
        first.measure(step)
    watch(tmp_path, training, real_images, start_step=200)
    assert [diversity.step for diversity in read_diversity(tmp_path)] == [100, 200]


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ([{"a": 0.0, "b": 0.0}], set()),  # nothing has left the grey of the start, step 10 of a warm-up of 30
        ([{"a": 0.0, "b": 0.0}, {"a": 0.5, "b": 0.0}], {"b"}),  # a has, b stays behind
        ([{"a": 0.5, "b": 0.0}, {"a": 0.5, "b": 0.0}], set()),  # was told at the first
        ([{"a": 0.0, "b": 0.0}] * 2, set()),
        ([{"a": 0.0, "b": 0.0}] * 3, {"a", "b"}),  # step 30: the warm-up is over
        ([{"a": 0.0, "b": 0.0}] * 4, set()),
        ([{"a": 0.5, "b": 0.5}, {"a": 0.25, "b": 0.249}], {"b"}),  # the threshold itself is not below it
        ([{"a": 0.5, "b": 0.5}, {"a": 0.0, "b": 0.0}], {"a", "b"}),
        ([{"a": 0.5, "b": 0.0}, {"a": 0.0, "b": 0.0}], {"a"}),
        ([{}], set()),
    ],
)
def test_who_is_warned_about(values, warned):
    history = [Diversity(10 * number, value) for number, value in enumerate(values, start=1)]
    assert newly_collapsed(history, warm_up_steps=30) == warned
