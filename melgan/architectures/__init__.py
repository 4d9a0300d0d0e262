"""Generator and discriminator pairs: one file each; ARCHITECTURES table."""

from collections.abc import Callable

from melgan.architectures import bagan_gp
from melgan.architectures.networks import Networks, NetworkShape

ARCHITECTURES: dict[str, Callable[[NetworkShape], Networks]] = {"bagan_gp": bagan_gp.build}
