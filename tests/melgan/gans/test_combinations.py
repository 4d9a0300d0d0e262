import pytest

from melgan.gans.combinations import require_possible
from melgan.gans.config import GanConfig
from melgan.gans.methods import resolve
from tfrecords_tools.foundation.errors import ConfigError

IMPOSSIBLE = [
    ("gan", {"penalty": "gradient_penalty", "penalty_weight": 10.0}, "^penalty is gradient_penalty, but the discrim"),
    ("gan", {"autoencoder_epochs": 3}, "^autoencoder_epochs is 3, but the architecture dcgan has no encoder"),
    ("sagan", {"autoencoder_epochs": 3}, "^autoencoder_epochs is 3, but the architecture sagan has no encoder"),
    ("sagan", {"final_beta_2": 0.99}, "^final_beta_2 is 0.99, but there is no burn-in after which to have it; give --"),
    ("sagan", {"final_penalty_weight": 0.0}, "^final_penalty_weight is 0.0, but there is no burn-in"),
    ("gan", {"penalty_interval": 4}, "^penalty_interval is 4, but there is no penalty; leave it at 1$"),
    ("wgan_gp", {"wrong_labels": True}, "^wrong_labels is on, but the objective wasserstein has no place for them"),
    ("wgan_gp", {"penalty": "none"}, "^the objective wasserstein needs a penalty"),
    ("wgan_gp", {"penalty_weight": 0.0}, "^the objective wasserstein needs a penalty"),
    ("progan", {"penalty": "none"}, "^the objective wasserstein_drift needs a penalty"),
    ("bagan", {"wrong_labels": True}, "^wrong_labels is on, but the objective softmax_cross_entropy has no place for"),
    (
        "bagan",
        {"objective": "hinge"},
        "^the objective hinge does not go with the architecture bagan, as only one of them has a class for fakes; "
        "for sigmoid_cross_entropy, wasserstein.*, hinge.*, choose one of the architectures bagan_gp, .*dcgan",
    ),
    (
        "gan",
        {"objective": "softmax_cross_entropy"},
        "^the objective softmax_cross_entropy does not go with the architecture dcgan, as only one of them has a class "
        "for fakes; for softmax_cross_entropy, choose one of the architectures bagan$",
    ),
    (
        "cpggan",
        {"augmentation": "ada"},
        "^augmentation is ada, which moves images, but not the boxes that .* cpggan is",
    ),
    ("bagan_gp", {"image_size": 48}, "^image_size is 48; it must be one of 32, 64, 128, 256"),
    (
        "bagan_gp",
        {"architecture": "dcgan"},
        "^penalty is .* choose one of the architectures bagan_gp, .*dcgan_layer_norm",
    ),
    *(
        ("bagan_gp", {field: "nonsense"}, f"^{field} is 'nonsense'; known are ")
        for field in ("architecture", "objective", "penalty", "label_sampling", "augmentation")
    ),
]


@pytest.mark.parametrize(("method", "settings", "message"), IMPOSSIBLE, ids=[str(case[1]) for case in IMPOSSIBLE])
def test_impossible_combinations_are_refused_with_a_reason(method, settings, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        require_possible(resolve(GanConfig(method=method, **settings)), (900, 10))
    assert "\n" not in str(refusal.value)


def test_classes_decide_too():
    config = resolve(GanConfig(method="bagan_gp"))
    with pytest.raises(ConfigError, match="^wrong_labels needs at least 2 classes; the shards have 1$"):
        require_possible(config, (900,))
    with pytest.raises(ConfigError, match="^the shards hold no training image$"):
        require_possible(config, (0, 0))
    require_possible(config, (900, 1))
    require_possible(resolve(GanConfig(method="gan")), (900,))
