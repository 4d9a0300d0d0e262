"""Per-class diversity in training: the figures, when a class is warned about, and what the report says."""

import logging

import keras
import numpy as np
import pytest

from pipelines.artefacts.metrics_file import MetricsWriter, read_metrics
from pipelines.watches.diversity import DiversityWatch, Judgement, judge_diversity, newly_collapsed, read_judgements

CLASSES = ("benign", "malignant", "single")
LATENTS = 16 * 16 * 3


def generator_of(*contrasts):
    """A generator whose image of a class is the latents times the contrast of the class."""
    latents, labels = keras.Input((LATENTS,)), keras.Input((), dtype="int32")
    contrast = keras.layers.Embedding(len(contrasts), 1, name="contrast")
    images = keras.layers.Reshape((16, 16, 3))(keras.layers.Multiply()([latents, contrast(labels)]))
    model = keras.Model([latents, labels], images)
    contrast.set_weights([np.reshape(contrasts, (-1, 1))])
    return model


@pytest.fixture(scope="module")
def real_images():
    """Images of two classes drawn as the generator of contrast 0.2 draws them, and one image of a third."""
    numbers = np.random.default_rng(0).normal(127.5, 0.2 * 127.5, (2, 20, 16, 16, 3))
    images = np.clip(np.round(numbers), 0, 255).astype(np.uint8)
    return [*images, images[0, :1]]


def watch(workdir, real_images, start_step=0):
    return DiversityWatch(workdir, CLASSES, real_images, seed=0, start_step=start_step)


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_diversity_is_that_of_the_contrast(real_images):
    diversity = judge_diversity(generator_of(0.2, 0.02, 0.2), real_images, CLASSES, seed=0)
    assert diversity == pytest.approx({"benign": 1, "malignant": 0.1}, rel=0.03)


def test_same_seed_same_figures(real_images):
    generator = generator_of(0.2, 0.02, 0.2)
    first, same, other = (judge_diversity(generator, real_images, CLASSES, seed) for seed in (3, 3, 4))
    assert first == same
    assert first["benign"] != other["benign"]


def test_a_class_that_collapses_is_warned_about_once_until_it_recovers(real_images, tmp_path, caplog):
    healthy, collapsed = generator_of(0.2, 0.2, 0.2), generator_of(0.2, 0.01, 0.2)
    first = watch(tmp_path, real_images)
    for step, generator in ((100, healthy), (200, collapsed), (300, collapsed)):
        first.judge(generator, step)
    (warning,) = warnings_of(caplog)
    assert warning.startswith("step 200: synthetic images of malignant (0.05")
    assert "--augmentation=diffaugment" in warning
    again = watch(tmp_path, real_images, start_step=300)  # a run that goes on
    again.judge(collapsed, 400)
    assert len(warnings_of(caplog)) == 1
    again.judge(healthy, 500)
    again.judge(collapsed, 600)
    assert [text[:8] for text in warnings_of(caplog)] == ["step 200", "step 600"]


def test_every_judgement_is_a_line_of_metrics(real_images, tmp_path):
    MetricsWriter(tmp_path, "gan", 0).write(50, {"generator_loss": 0.5})
    first = watch(tmp_path, real_images)
    for step in (100, 200):
        first.judge(generator_of(0.2, 0.02, 0.2), step)
    lines = read_metrics(tmp_path)
    assert [(line["series"], line["step"]) for line in lines] == [("gan", 50), ("diversity", 100), ("diversity", 200)]
    assert set(lines[1]) == {"series", "step", "diversity_benign", "diversity_malignant"}
    assert [judgement.diversity["malignant"] for judgement in read_judgements(tmp_path)] == [
        line["diversity_malignant"] for line in lines[1:]
    ]


def test_judgements_after_the_step_that_a_run_goes_on_from_are_dropped(real_images, tmp_path):
    first = watch(tmp_path, real_images)
    for step in (100, 200, 300):
        first.judge(generator_of(0.2, 0.02, 0.2), step)
    watch(tmp_path, real_images, start_step=200)
    assert [judgement.step for judgement in read_judgements(tmp_path)] == [100, 200]


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
    judgements = [Judgement(10 * number, value) for number, value in enumerate(values, start=1)]
    assert newly_collapsed(judgements, warm_up_steps=30) == warned
