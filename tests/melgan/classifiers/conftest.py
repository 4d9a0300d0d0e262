import pytest

from melgan.classifiers.trainer import ClassifierTrainer
from tests.melgan.classifiers.tiny_classifier import tiny_config


@pytest.fixture
def make_trainer(one_device):
    def make_trainer(class_counts=(8, 8), total_steps=100, **settings):
        return ClassifierTrainer(tiny_config(**settings), class_counts, total_steps, one_device)

    return make_trainer
