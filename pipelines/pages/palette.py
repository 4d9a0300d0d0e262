"""What each colour of a chart stands for, the same on all pages."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_hex, to_rgb

REAL, SYNTHETIC = "#1f5fa8", "#d1495b"  # also: of a training with real images alone, of one with synthetic ones
SIDES = {"real": REAL, "synthetic": SYNTHETIC}
OTHER = "#5b6070"  # of a line that stands for no class and no side
GUIDE = "#999999"  # of what a value is compared with: chance, a threshold
# None of them looks like REAL or SYNTHETIC.
_CLASSES = (
    "#3a8f5c",
    "#c98a1b",
    "#7d55b0",
    "#2f9fb0",
    "#8a5a2b",
    "#c25aa8",
    "#8c9a2e",
    "#4d5a6e",
    "#e0a98f",
)
_DARKEST, _LIGHTEST = 0.35, 0.55  # of shades: how far they go to black and to white


def of_classes(classes: Sequence[str]) -> dict[str, str]:
    """Returns the colour of each class of a data set, by its place among them; more than nine begin again."""
    return {name: _CLASSES[number % len(_CLASSES)] for number, name in enumerate(classes)}


def shades(names: Sequence[str], colour: str = OTHER) -> dict[str, str]:
    """Returns shades of one colour, from dark to light, of what differs in nothing that has a colour: folds, methods.

    Arguments:
      names: of what they stand for.
      colour: of all of them, such as `SYNTHETIC`.
    """
    if len(names) < 2:
        return dict.fromkeys(names, colour)
    steps = [number / (len(names) - 1) for number in range(len(names))]
    return {name: _shade(colour, step) for name, step in zip(names, steps, strict=True)}


def _shade(colour: str, step: float) -> str:
    """Returns the colour mixed with black where `step` is 0, and with white where it is 1."""
    full = np.array(to_rgb(colour))
    dark, light = (1 - _DARKEST) * full, (1 - _LIGHTEST) * full + _LIGHTEST
    return to_hex((1 - step) * dark + step * light)
