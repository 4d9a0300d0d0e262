import pytest

from melgan.gans.augmentations.ada import Colour, Geometry
from melgan.gans.augmentations.ada import Use as AdaUse
from melgan.gans.augmentations.diffaugment import Use as DiffAugmentUse
from melgan.gans.penalties import DraganUse
from melgan.gans.step import Use

NUMBERS = {
    Use: {
        "FAKE_LABELS": 1,
        "LATENTS": 2,
        "WRONG_LABELS": 3,
        "PENALTY": 4,
        "REAL_AUGMENTATION": 5,
        "FAKE_AUGMENTATION": 6,
        "REAL_DROPOUT": 7,
        "FAKE_DROPOUT": 8,
        "PENALTY_DROPOUT": 9,
        "REGULARISER": 10,
    },
    DraganUse: {"NOISE": 0, "DISTANCE": 1},
    DiffAugmentUse: {"BRIGHTNESS": 0, "SATURATION": 1, "CONTRAST": 2, "TRANSLATION": 3, "CUTOUT": 4},
    AdaUse: {"GEOMETRY": 0, "COLOURS": 1},
    Geometry: {
        "FLIP": 0,
        "QUARTER_TURN": 1,
        "WHOLE_SHIFT": 2,
        "SCALING": 3,
        "FIRST_TURN": 4,
        "STRETCHING": 5,
        "SECOND_TURN": 6,
        "PART_SHIFT": 7,
        "CHOICE": 8,
    },
    Colour: {"BRIGHTNESS": 0, "CONTRAST": 1, "FLIP": 2, "HUE": 3, "SATURATION": 4, "CHOICE": 5},
}


@pytest.mark.parametrize("uses", NUMBERS, ids=lambda uses: f"{uses.__module__}.{uses.__name__}")
def test_numbers_of_uses_stay_as_they_decide_the_results_of_a_seed(uses):
    assert {use.name: int(use) for use in uses} == NUMBERS[uses]
