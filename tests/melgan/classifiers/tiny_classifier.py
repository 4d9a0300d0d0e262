"""A classifier small enough to train in a test, and batches for it."""

import numpy as np
import tensorflow as tf

from melgan.classifiers.config import ClassifierConfig
from tests.melgan.gans.tiny_gan import take_steps
from tfrecords_tools.foundation.metadata import PATIENT_IMAGES, PROPERTIES


def tiny_config(**settings):
    return ClassifierConfig(**({"backbone": "small_cnn", "image_size": 32, "batch_size": 4, "dropout": 0.0} | settings))


def tiny_batch(labels, num_classes=2, **metadata):
    """Returns random images with labels, and these as targets; metadata is missing unless given."""
    size = len(labels)
    images = np.random.default_rng(0).integers(0, 256, (size, 32, 32, 3)).astype(np.uint8)
    missing = dict.fromkeys((*PROPERTIES, PATIENT_IMAGES), [-1] * size)
    codes = missing | {"label": labels, "stream": [0] * size} | metadata
    targets = np.eye(num_classes, dtype=np.float32)[labels]
    return {"image": images, "targets": targets, "is_labelled": np.full(size, True)} | {
        name: np.array(code, np.int32) for name, code in codes.items()
    }


def train(trainer, batch, first_step, num_steps):
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    losses = take_steps(trainer, batches, first=first_step, count=num_steps)
    assert all(loss.shape == (num_steps,) for loss in losses.values())
    return {name: float(loss[-1]) for name, loss in losses.items()}
