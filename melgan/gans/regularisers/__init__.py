"""Regularisers: terms that are added to the losses of either network, per example; REGULARISERS table."""

from collections.abc import Callable

from melgan.gans.regularisers.gsr import gsr
from melgan.gans.regularisers.interface import Regulariser, Subject
from melgan.gans.regularisers.lecam import lecam
from melgan.gans.regularisers.mode_seeking import mode_seeking

# Each is made for the networks of one training, in the scope of its strategy.
REGULARISERS: dict[str, Callable[[Subject], Regulariser]] = {
    "none": lambda subject: Regulariser(),
    "lecam": lecam,
    "mode_seeking": mode_seeking,
    "gsr": gsr,
}
