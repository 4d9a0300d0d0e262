"""Layers that are not trained keep their weights and moving statistics; a resumed training is exact all the same."""

import numpy as np
import pytest

from melgan.classifiers.backbones import BACKBONES
from melgan.classifiers.freezing import TRAIN_LAYERS, freeze
from melgan.classifiers.network import build_classifier
from melgan.training.checkpoints import Checkpoints, Model
from tests.melgan.classifiers.tiny_classifier import tiny_batch, tiny_config, train
from tfrecords_tools.foundation.errors import ConfigError

HEADS = {"logits", "auxiliary"}
# Where each network halves its map for the last time, by hand; at the next layer with weights its last stage begins.
FIRST_OF_LAST_STAGE = {
    "efficientnet_lite0": "blocks.11.depthwise_conv",
    "efficientnet_lite1": "blocks.15.depthwise_conv",
    "efficientnet_lite2": "blocks.15.depthwise_conv",
    "efficientnet_b0": "block6a_dwconv",
    "efficientnet_b1": "block6a_dwconv",
    "efficientnet_v2_b0": "block6a_dwconv2",
    "efficientnet_v2_s": "block6a_dwconv2",
}


def trained(model):
    """Names of the layers with weights that are trained."""
    return {layer.name for layer in model.layers if layer.weights and layer.trainable} - {"dropout"}


@pytest.mark.parametrize(("train_layers", "layers_of_backbone"), [("all", 20), ("last_stage", 6), ("head", 0)])
def test_of_small_cnn_the_whole_the_last_three_convolutions_or_nothing_is_trained(train_layers, layers_of_backbone):
    model = build_classifier(tiny_config(train_layers=train_layers), 2)
    expected = [layer.name for layer in model.layers if layer.weights and layer.name != "dropout"][
        -layers_of_backbone - 2 :
    ]
    assert trained(model) == set(expected)
    assert set(expected) >= HEADS
    assert len(expected) == layers_of_backbone + 2


@pytest.mark.parametrize(("name", "first"), FIRST_OF_LAST_STAGE.items())
@pytest.mark.parametrize("side", [32, 96])
def test_the_last_stage_begins_behind_the_last_halving(name, first, side):
    backbone = BACKBONES[name](side, "none")
    freeze(backbone, "last_stage")
    names = [layer.name for layer in backbone.layers if layer.weights]
    assert trained(backbone) == set(names[names.index(first) :])


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="train_layers.*'nonsense'.*last_stage"):
        build_classifier(tiny_config(train_layers="nonsense"), 2)


@pytest.mark.parametrize("train_layers", TRAIN_LAYERS)
def test_what_is_not_trained_does_not_move_and_the_rest_does(make_trainer, train_layers):
    """Neither in the model nor in its average, moving statistics included."""
    trainer = make_trainer(train_layers=train_layers, warmup_fraction=0.0, auxiliary_weight=1.0, dropout=0.5)
    models = trainer.checkpointed["model"], trainer.average_model
    before = [{layer.name: layer.get_weights() for layer in model.layers} for model in models]
    train(trainer, tiny_batch([0, 1, 0, 1], sex=[0, 1, 0, 1], age_approx=[30, 50, 40, 70]), 0, 3)
    for model, weights in zip(models, before, strict=True):
        moved = {
            layer.name
            for layer in model.layers
            if not all(np.array_equal(*pair) for pair in zip(layer.get_weights(), weights[layer.name], strict=True))
        }
        assert moved - {"dropout"} == trained(model)


def test_frozen_layers_normalise_by_their_moving_statistics(make_trainer):
    model = make_trainer(train_layers="head").checkpointed["model"]
    images = tiny_batch([0, 1, 0, 1])["image"].astype(np.float32)
    np.testing.assert_array_equal(model(images, training=True)[0], model(images, training=False)[0])


@pytest.mark.parametrize("train_layers", ["last_stage", "head"])
def test_resumed_training_is_bitwise_the_undisturbed_one(
    make_trainer, train_layers, tmp_path, one_device, op_determinism
):
    settings = {"train_layers": train_layers, "dropout": 0.5}
    batch = tiny_batch([0, 1, 0, 1])
    undisturbed, resumed = make_trainer(**settings), make_trainer(**settings, seed=1)
    train(undisturbed, batch, 0, 2)
    Checkpoints(tmp_path, undisturbed, one_device).save(2)
    losses = train(undisturbed, batch, 2, 3)
    assert Checkpoints(tmp_path, resumed, one_device).restore() == 2
    assert train(resumed, batch, 2, 3) == losses
    pairs = zip(resumed.average_model.get_weights(), undisturbed.average_model.get_weights(), strict=True)
    assert all(np.array_equal(*pair) for pair in pairs)


def test_checkpoints_are_not_resumed_with_other_layers(make_trainer, tmp_path, one_device):
    def checkpoints(**settings):
        model = Model(tiny_config(**settings), ("a", "b"))
        return Checkpoints(tmp_path, make_trainer(**settings), one_device, model=model)

    checkpoints(train_layers="head").save(1)
    with pytest.raises(ConfigError, match="train_layers was 'head', now 'all'"):
        checkpoints().restore()


def test_weights_saved_with_frozen_layers_are_loaded_without(tmp_path):
    saved = build_classifier(tiny_config(train_layers="last_stage"), 2)
    saved.save_weights(tmp_path / "a.weights.h5")
    loaded = build_classifier(tiny_config(), 2)
    loaded.load_weights(tmp_path / "a.weights.h5")
    images = tiny_batch([0, 1])["image"].astype(np.float32)
    np.testing.assert_array_equal(loaded(images)[0], saved(images)[0])
