import pytest

from melgan.gans.combinations import require_possible
from melgan.gans.config import GanConfig
from melgan.gans.methods import resolve
from tfrecords_tools.foundation.errors import ConfigError

# What a refusal names: the setting, its value, what it does not go with, the way out.
IMPOSSIBLE = [
    (
        "gan",
        {"penalty": "gradient_penalty", "penalty_weight": 10.0},
        "penalty.*gradient_penalty.*dcgan.*--penalty=none",
    ),
    ("gan", {"autoencoder_epochs": 3}, "autoencoder_epochs.* 3.*dcgan.*--autoencoder_epochs=0"),
    ("sagan", {"autoencoder_epochs": 3}, "autoencoder_epochs.* 3.*sagan.*--autoencoder_epochs=0"),
    ("sagan", {"final_beta_2": 0.99}, "final_beta_2.* 0.99.*--burn_in_epochs"),
    ("sagan", {"final_penalty_weight": 0.0}, "final_penalty_weight.* 0.0.*--burn_in_epochs"),
    ("gan", {"penalty_interval": 4}, "penalty_interval.* 4.* 1$"),
    ("wgan_gp", {"wrong_labels": True}, "wrong_labels.*wasserstein.*--nowrong_labels"),
    ("wgan_gp", {"penalty": "none"}, "wasserstein.*--penalty=gradient_penalty --penalty_weight=10"),
    ("wgan_gp", {"penalty_weight": 0.0}, "wasserstein.*--penalty=gradient_penalty --penalty_weight=10"),
    ("progan", {"penalty": "none"}, "wasserstein_drift.*--penalty=gradient_penalty --penalty_weight=10"),
    ("bagan", {"wrong_labels": True}, "wrong_labels.*softmax_cross_entropy.*--nowrong_labels"),
    (
        "bagan",
        {"objective": "hinge"},
        "objective hinge.*architecture bagan.*sigmoid_cross_entropy, wasserstein.*, hinge.*bagan_gp, .*dcgan",
    ),
    (
        "gan",
        {"objective": "softmax_cross_entropy"},
        "objective softmax_cross_entropy.*architecture dcgan.*softmax_cross_entropy.*bagan$",
    ),
    ("transitional", {"conditioning": "normalised"}, "conditional_until_epochs.* 2000.*--conditioning=concatenated"),
    ("transitional", {"unconditional_weight": 0.0}, "conditional_until_epochs.* 2000.*--unconditional_weight=1"),
    ("transitional", {"conditional_from_epochs": 2001.0}, "conditional_from_epochs.* 2001.*at most.* 2000"),
    ("sagan", {"conditional_from_epochs": 1.0}, "conditional_from_epochs.* 1; .*--conditional_until_epochs"),
    ("sagan", {"conditional_until_epochs": 1.0}, "conditional_until_epochs.*sagan.*--architecture=bagan_gp"),
    ("bagan", {"unconditional_weight": 1.0}, "unconditional_weight.*softmax"),
    ("utlo", {"shared_until": 64}, "shared_until is 64.*at most 32"),
    ("utlo", {"shared_until": 7}, "shared_until is 7.*4, 8, 16"),
    ("utlo", {"conditioning": "multiply"}, "shared_until is 8.*--conditioning=concatenated"),
    ("utlo", {"unconditional_weight": 0.0}, "shared_until is 8.*--unconditional_weight=1"),
    ("utlo", {"conditional_until_epochs": 9.0}, "shared_until is 8.*conditional_until_epochs 9"),
    ("sagan", {"shared_until": 8}, "shared_until is 8.*sagan does not have"),
    ("cpggan", {"augmentation": "ada"}, "augmentation.*ada.*cpggan.*--augmentation=none"),
    ("bagan_gp", {"image_size": 48}, "image_size.* 48.*32, 64, 128, 256"),
    ("bagan_gp", {"architecture": "dcgan"}, "penalty.*bagan_gp, .*dcgan_layer_norm"),
    *(
        ("bagan_gp", {field: "nonsense"}, f"{field}.*'nonsense'.*{known}")
        for field, known in (
            ("architecture", "bagan_gp, .*dcgan"),
            ("objective", "sigmoid_cross_entropy, .*hinge"),
            ("penalty", "none, .*dragan"),
            ("label_sampling", "balanced, .*real"),
            ("augmentation", "none, .*diffaugment"),
            ("regulariser", "none"),
        )
    ),
]


@pytest.mark.parametrize(("method", "settings", "message"), IMPOSSIBLE, ids=[str(case[1]) for case in IMPOSSIBLE])
def test_impossible_combinations_are_refused_with_a_reason(method, settings, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        require_possible(resolve(GanConfig(method=method, **settings)), (900, 10))
    assert "\n" not in str(refusal.value)


def test_classes_decide_too():
    config = resolve(GanConfig(method="bagan_gp"))
    with pytest.raises(ConfigError, match="wrong_labels.* 2 .* 1$"):
        require_possible(config, (900,))
    with pytest.raises(ConfigError):
        require_possible(config, (0, 0))
    require_possible(config, (900, 1))
    require_possible(resolve(GanConfig(method="gan")), (900,))
