from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from melgan.classifiers.mixing import draw_coefficients, draw_partners
from melgan.classifiers.network import build_classifier
from melgan.classifiers.prediction import Predictor
from melgan.classifiers.trainer import ClassifierTrainer
from melgan.training.checkpoints import Checkpoints
from melgan.training.randomness import draws_of_step
from tests.melgan.classifiers.tiny_classifier import tiny_batch, tiny_config, train
from tfrecords_tools.foundation.errors import ConfigError


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("auxiliary_weight", [0.0, 0.5])
def test_first_step_by_hand(make_trainer, auxiliary_weight):
    """Heads that ignore the image make every term of the loss known; the average then moves by nine tenths."""
    trainer = make_trainer(
        (3, 1), class_balance=1.0, label_smoothing=0.1, warmup_fraction=0.0, auxiliary_weight=auxiliary_weight
    )
    model, average = trainer.checkpointed["model"], trainer.average_model
    logits, auxiliary = model.get_layer("logits"), model.get_layer("auxiliary")
    logits.set_weights([np.zeros_like(logits.kernel), np.array([2.0, 0.0])])
    auxiliary.set_weights([np.zeros_like(auxiliary.kernel), np.zeros_like(auxiliary.bias)])
    average_before = average.get_weights()

    losses = train(trainer, tiny_batch([0, 0, 1, 1], sex=[0, 1, -1, -1], age_approx=[-1, 50, -1, 40]), 0, 1)

    of_0, of_1 = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    by_hand = (2 * 2 / 3 * (0.95 * of_0 + 0.05 * of_1) + 2 * 2 * (0.05 * of_0 + 0.95 * of_1)) / 4
    assert losses["loss"] == pytest.approx(by_hand, rel=1e-5)
    assert losses["auxiliary_loss"] == pytest.approx((2 + 2 + 1 + 1) * np.log(2) / 4, rel=1e-5)
    assert bool(np.any(auxiliary.kernel)) == (auxiliary_weight > 0)
    for before, after, weight in zip(average_before, average.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(after, 0.1 * before + 0.9 * weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("warmup_fraction", "rates"),
    [
        (0.1, {0: 0.0, 5: 0.5, 10: 1.0, 55: 0.5, 100: 0.0}),
        (0.0, {0: 1.0, 50: 0.5, 75: (1 - 0.5**0.5) / 2, 100: 0.0}),
    ],
)
def test_learning_rate_rises_linearly_and_falls_by_a_cosine(make_trainer, warmup_fraction, rates):
    optimizer = make_trainer(warmup_fraction=warmup_fraction, learning_rate=0.2).checkpointed["optimizer"]
    for step, fraction in rates.items():
        optimizer.iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(0.2 * fraction, abs=1e-7)


def test_weight_decay_shrinks_kernels_only(make_trainer):
    trainer = make_trainer(warmup_fraction=0.0, learning_rate=0.1, weight_decay=0.5)
    variables = trainer.checkpointed["model"].trainable_variables
    before = [variable.numpy() for variable in variables]
    trainer.checkpointed["optimizer"].apply([tf.zeros_like(value) for value in before], variables)
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_allclose(variable, value * (0.95 if value.ndim > 1 else 1.0), rtol=1e-6)


@pytest.mark.usefixtures("eager")
def test_a_soft_target_counts_by_its_probabilities_and_an_image_without_one_not_at_all(make_trainer):
    """Heads that ignore the image; of four images, divided by four, two have no target."""
    trainer = make_trainer((3, 1), class_balance=1.0, label_smoothing=0.0, warmup_fraction=0.0)
    logits = trainer.checkpointed["model"].get_layer("logits")
    logits.set_weights([np.zeros_like(logits.kernel), np.array([2.0, 0.0])])
    targets = np.array([[0.25, 0.75], [0, 0], [1, 0], [0, 0]], np.float32)
    loss = train(trainer, tiny_batch([0, 0, 0, 0]) | {"targets": targets}, 0, 1)["loss"]
    of_0, of_1 = np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))
    weights = 2 / 3, 2  # of the classes
    soft = (0.25 * of_0 + 0.75 * of_1) * (0.25 * weights[0] + 0.75 * weights[1])
    assert loss == pytest.approx((soft + weights[0] * of_0) / 4, rel=1e-5)


@pytest.mark.usefixtures("eager")
def test_mixed_images_have_the_mixed_losses_of_both(make_trainer):
    """Heads that ignore the image: the loss is the mean of c times the own and 1 - c times the partner's."""
    trainer = make_trainer(mixing="mixup", mixing_alpha=1.0, batch_size=8, label_smoothing=0.0, warmup_fraction=0.0)
    model = trainer.checkpointed["model"]
    for name in ("logits", "auxiliary"):
        head = model.get_layer(name)
        head.set_weights([np.zeros_like(head.kernel), np.zeros_like(head.bias)])
    model.get_layer("logits").bias.assign([2.0, 0.0])
    labels = np.array([0, 1, 1, 0, 1, 0, 0, 0])
    found = train(trainer, tiny_batch(labels, sex=labels), 0, 1)
    draws = draws_of_step(tf.constant([0, 0]), 0, global_batch_size=8, num_replicas=1)
    own, partners = draw_coefficients(draws, 1.0).numpy(), draw_partners(draws).numpy()
    losses = np.array([np.log1p(np.exp(-2.0)), np.log1p(np.exp(2.0))])
    by_hand = own * losses[labels] + (1 - own) * losses[labels[partners]]
    assert found["loss"] == pytest.approx(by_hand.mean(), rel=1e-5)
    assert found["auxiliary_loss"] == pytest.approx(2 * np.log(2), rel=1e-5)  # of two sexes, mixed or not


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_with_mixing_a_resumed_training_is_bitwise_the_undisturbed_one(
    make_trainer, tmp_path, one_device, op_determinism, mixing
):
    batch = tiny_batch([0, 1, 0, 1])
    undisturbed, resumed = make_trainer(mixing=mixing), make_trainer(mixing=mixing)
    train(undisturbed, batch, 0, 2)
    Checkpoints(tmp_path, undisturbed, one_device).save(2)
    losses = train(undisturbed, batch, 2, 2)
    assert Checkpoints(tmp_path, resumed, one_device).restore() == 2
    assert train(resumed, batch, 2, 2) == losses


def test_an_odd_batch_has_no_partners_and_an_unknown_mixing_is_refused(make_trainer):
    with pytest.raises(ConfigError, match="batch_size is 5; "):
        make_trainer(mixing="mixup", batch_size=5)
    with pytest.raises(ConfigError, match="mixing.*'mixmatch'.*mixup, cutmix"):
        make_trainer(mixing="mixmatch")


@pytest.mark.usefixtures("eager")
def test_a_student_learns_from_its_teacher_as_much_as_the_weight_says(make_trainer, one_device):
    """Both ignore the image: of the targets 1 - w, of the divergence from the teacher w."""
    config = tiny_config(distillation_weight=0.25, distillation_temperature=1.0, label_smoothing=0.0)
    teacher = build_classifier(config, 2)
    trainer = ClassifierTrainer(config, (8, 8), 100, one_device, teacher)
    student = trainer.checkpointed["model"]
    for network, bias in ((teacher, [np.log(3.0), 0.0]), (student, [0.0, 0.0])):
        logits = network.get_layer("logits")
        logits.set_weights([np.zeros_like(logits.kernel), np.array(bias)])
    taught = [weight.copy() for weight in teacher.get_weights()]
    divergence = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    found = train(trainer, tiny_batch([0, 1, 0, 1]), 0, 1)
    assert found["loss"] == pytest.approx(0.75 * np.log(2) + 0.25 * divergence, rel=1e-5)
    for before, after in zip(taught, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("scaling", "rate"), [("none", 0.1), ("linear", 0.4), ("sqrt", 0.2)])
def test_the_learning_rate_is_scaled_with_the_batch(scaling, rate):
    config = tiny_config(batch_size=128, learning_rate=0.1, learning_rate_scaling=scaling)
    assert config.peak_learning_rate == pytest.approx(rate)


def test_training_learns_16_images_by_heart(make_trainer):
    trainer = make_trainer(total_steps=40, batch_size=16, label_smoothing=0.0, weight_decay=0.0)
    batch = tiny_batch(list(np.arange(16) % 2))
    assert train(trainer, batch, 0, 40)["loss"] < 0.05
    probabilities = trainer.predictor(1).predict([batch])
    np.testing.assert_array_equal(probabilities.argmax(axis=1), batch["label"])


def test_resumed_training_is_bitwise_the_undisturbed_one(make_trainer, tmp_path, one_device, op_determinism):
    """Dropout included."""
    batch = tiny_batch([0, 1, 0, 1])
    undisturbed, resumed = make_trainer(dropout=0.5), make_trainer(dropout=0.5)
    train(undisturbed, batch, 0, 2)
    Checkpoints(tmp_path, undisturbed, one_device).save(2)
    losses = train(undisturbed, batch, 2, 3)
    assert Checkpoints(tmp_path, resumed, one_device).restore() == 2
    assert train(resumed, batch, 2, 3) == losses
    for weight, expected in zip(
        resumed.average_model.get_weights(), undisturbed.average_model.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(weight, expected)


@pytest.fixture(scope="module")
def untrained(one_device):
    return ClassifierTrainer(tiny_config(), (5, 5, 5), 100, one_device)


@pytest.mark.parametrize("flip", [np.s_[:, :, ::-1], np.s_[:, ::-1], np.s_[:, ::-1, ::-1]])
@pytest.mark.parametrize("views", [1, 8])
def test_eight_views_make_the_prediction_blind_to_flips(untrained, views, flip):
    images = tiny_batch([0, 1, 0, 1])["image"]
    predict = untrained.predictor(views).predict
    difference = np.abs(predict([{"image": images}]) - predict([{"image": images[flip]}])).max()
    assert (difference < 1e-6) == (views == 8)


def test_predictions_are_probabilities_in_the_order_of_the_batches(untrained):
    images = tiny_batch([0, 1, 2, 1], num_classes=3)["image"]
    predict = untrained.predictor(2).predict
    whole = predict([{"image": images}])
    assert whole.shape == (4, 3)
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(predict([{"image": images[:3]}, {"image": images[3:]}]), whole, rtol=1e-4)
    assert np.ptp(whole, axis=0).max() > 1e-3


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small classifier of two classes, and the file of its weights."""
    keras.utils.set_random_seed(1)
    model = build_classifier(tiny_config(), 2)
    path = tmp_path_factory.mktemp("weights") / "model.weights.h5"
    model.save_weights(path)
    return model, str(path)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_weights_of_a_file_are_loaded_and_a_head_that_does_not_fit_starts_afresh(saved, num_classes):
    model, path = saved
    keras.utils.set_random_seed(2)
    loaded = build_classifier(tiny_config(weights=path), num_classes)
    for layer, original in zip(loaded.layers, model.layers, strict=True):
        same = [np.array_equal(*pair) for pair in zip(layer.get_weights(), original.get_weights(), strict=True)]
        assert all(same) == (num_classes == 2 or layer.name != "logits")
        assert all(np.isfinite(weight).all() for weight in layer.get_weights())


def test_weights_that_cannot_be_had_are_refused(saved, tmp_path):
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save_weights(other)
    text = tmp_path / "text.weights.h5"
    text.write_text("no weights")
    for path, backbone in [
        (str(tmp_path / "none.weights.h5"), "small_cnn"),
        (str(text), "small_cnn"),
        (str(other), "small_cnn"),
        (saved[1], "efficientnet_b0"),
    ]:
        with pytest.raises(ConfigError, match=f"weights.*{path}"):
            build_classifier(tiny_config(weights=path, backbone=backbone), 2)


@pytest.mark.parametrize(("field", "known"), [("backbone", "small_cnn"), ("augmentation", "dihedral_colour")])
def test_unknown_names_are_refused(make_trainer, field, known):
    with pytest.raises(ConfigError, match=f"{field}.*'nonsense'.*{known}"):
        make_trainer(**{field: "nonsense"})


def test_images_of_another_size_are_predicted_by_the_same_weights():
    """As by a network that was built for that size."""
    keras.utils.set_random_seed(3)
    config = tiny_config(metadata="film")
    model, other = (build_classifier(replace(config, image_size=size), 2) for size in (32, 48))
    other.set_weights(model.get_weights())
    batch = tiny_batch([0, 1])
    larger = batch | {"image": np.random.default_rng(2).integers(0, 256, (2, 48, 48, 3)).astype(np.uint8)}
    predictor = Predictor(model, 2, (32, 48))
    assert predictor.sizes == (32, 48)
    assert Predictor(model, 2).sizes == (32,)
    np.testing.assert_allclose(predictor.predict([larger], 48), Predictor(other, 2).predict([larger]), rtol=1e-5)
    np.testing.assert_allclose(predictor.predict([batch], 32), Predictor(model, 2).predict([batch]), rtol=1e-6)


@pytest.mark.parametrize("sizes", [("16",), ("big",), ("64", "")])
def test_sizes_that_are_none_are_refused(sizes):
    with pytest.raises(ConfigError, match="^test_time_sizes is "):
        tiny_config(test_time_sizes=sizes)
