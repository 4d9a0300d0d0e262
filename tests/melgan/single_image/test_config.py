import pytest

from melgan.single_image.config import SinganConfig
from tfrecords_tools.foundation.errors import ConfigError


def test_defaults_are_the_published_settings():
    config = SinganConfig()
    assert (config.min_size, config.max_size, config.scale_factor) == (25, 250, 0.75)
    assert (config.steps_per_scale, config.disc_steps, config.gen_steps) == (2000, 3, 3)
    assert (config.penalty_weight, config.reconstruction_weight, config.noise_weight) == (0.1, 10.0, 0.1)
    assert (config.learning_rate, config.beta_1, config.beta_2) == (5e-4, 0.5, 0.999)
    assert config.decay_at * config.steps_per_scale == 1600


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"image_size": 256}, "^image_size is 256; .*max_size, 250"),
        ({"image_size": 24}, "^image_size is 24; .*min_size, 25"),
        ({"min_size": 10}, "^min_size is 10; .* 11"),
        ({"scale_factor": 1.0}, "^scale_factor is 1.0"),
        ({"steps_per_scale": 0}, "^steps_per_scale is 0"),
        ({"disc_steps": 0}, "^disc_steps is 0"),
        ({"gen_steps": 0}, "^gen_steps is 0"),
        ({"width": 0.0}, "^width is 0.0"),
        ({"penalty_weight": -0.1}, "^penalty_weight is -0.1"),
        ({"beta_2": 1.0}, "^beta_2 is 1.0"),
        ({"decay_at": 1.1}, "^decay_at is 1.1"),
        ({"normalization": "batch"}, "^normalization is batch; .*instance"),
        ({"padding": "reflect"}, "^padding is reflect; .*zero"),
        ({"seed": -1}, "^seed is -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, text):
    with pytest.raises(ConfigError, match=text):
        SinganConfig(**settings)


def test_largest_and_smallest_images_are_allowed():
    assert SinganConfig(image_size=25).image_size == 25
    assert SinganConfig(image_size=256, max_size=256).image_size == 256
