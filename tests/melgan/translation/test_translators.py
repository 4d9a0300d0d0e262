import pytest

from melgan.translation.config import TranslatorConfig
from melgan.translation.objectives import OBJECTIVES
from melgan.translation.terms import TERMS
from melgan.translation.translators import (
    TRANSLATORS,
    outlined_by,
    require_possible,
    resolve,
    weights_of,
)
from tfrecords_tools.foundation.errors import ConfigError

# Zhu et al. 2017, section 4 and the authors' code; Lin et al. 2020; Park et al. 2020, section 4; Isola et al. 2017.
PUBLISHED = {
    "cyclegan": {"adversarial": 1.0, "cycle": 10.0, "identity": 5.0},
    "auggan": {"adversarial": 1.0, "cycle": 10.0, "parsing": 0.2, "tying": 0.02},
    "cut": {"adversarial": 1.0, "nce": 1.0},
    "fastcut": {"adversarial": 1.0, "nce": 10.0},
    "pix2pix": {"adversarial": 1.0, "l1": 100.0},
}
IMPOSSIBLE = [
    ("cut", {"cycle_weight": 10.0}, "cycle_weight.* 10.0.*cut.*--method=cyclegan or auggan"),
    ("cyclegan", {"parsing_weight": 0.2}, "parsing_weight.* 0.2.*cyclegan.*--method=auggan"),
    ("cyclegan", {"nce_weight": 1.0}, "nce_weight.*--method=cut or fastcut"),
    ("pix2pix", {"outside_weight": 10.0}, "outside_weight.* 10.0.*pix2pix"),
    ("fastcut", {"l1_weight": 100.0}, "l1_weight.*--method=pix2pix"),
    ("pix2pix", {"residual": True}, "residual.*pix2pix.*--noresidual"),
    ("auggan", {"parsing_weight": 0.0}, "tying_weight.* 0.02.*--tying_weight=0"),
]


@pytest.mark.parametrize("method", TRANSLATORS)
def test_presets_are_the_published_weights(method):
    config = resolve(TranslatorConfig(method=method))
    assert weights_of(config) == PUBLISHED[method]
    assert weights_of(config).keys() <= TERMS.keys()
    assert TRANSLATORS[method].weights.keys() <= TERMS.keys()
    assert TRANSLATORS[method].objective in OBJECTIVES
    require_possible(config)


def test_given_weights_are_kept_even_if_zero():
    config = resolve(TranslatorConfig(method="auggan", parsing_weight=0.0, tying_weight=0.0, outside_weight=3.0))
    assert weights_of(config) == {"adversarial": 1.0, "cycle": 10.0, "outside": 3.0}


@pytest.mark.parametrize(("method", "settings", "message"), IMPOSSIBLE)
def test_terms_that_a_method_cannot_have_are_refused_with_the_way_out(method, settings, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        require_possible(resolve(TranslatorConfig(method=method, **settings)))
    assert "\n" not in str(refusal.value)


def test_a_term_of_weight_zero_is_no_term():
    require_possible(resolve(TranslatorConfig(method="cut", cycle_weight=0.0)))


def test_unknown_method_is_refused():
    with pytest.raises(ConfigError, match="method.*'stargan'.*cyclegan"):
        resolve(TranslatorConfig(method="stargan"))


@pytest.mark.parametrize(
    ("method", "settings", "outlines"),
    [
        ("auggan", {}, "masks"),
        ("auggan", {"parsing_weight": 0.0, "tying_weight": 0.0}, ""),
        ("cyclegan", {}, ""),
        ("cyclegan", {"outside_weight": 1.0}, "masks"),
        ("pix2pix", {}, "masks"),
        ("pix2pix", {"condition": "boxes"}, "boxes"),
    ],
)
def test_outlines_are_taken_where_a_term_looks_at_them(method, settings, outlines):
    assert outlined_by(resolve(TranslatorConfig(method=method, **settings))) == outlines
