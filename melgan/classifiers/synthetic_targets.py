"""What synthetic images count for, beside the class that was asked for; SYNTHETIC_TARGETS table.

Each function maps the classes asked for `[N, C]`, what a prior classifier thinks likely `[N, C]`, and the fraction that
the former counts in a blend, to targets `[N, C]` and which images are kept `[N]`.
"""

from collections.abc import Callable

import numpy as np

REQUESTED = "requested"

# (requested [N, C], thought [N, C], blend) -> (targets [N, C], is_kept [N])
MakeTargets = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]


def requested_targets(requested: np.ndarray, thought: np.ndarray, blend: float) -> tuple[np.ndarray, np.ndarray]:
    """Targets are the classes asked for."""
    del thought, blend
    return requested, np.full(len(requested), True)


def soft_targets(requested: np.ndarray, thought: np.ndarray, blend: float) -> tuple[np.ndarray, np.ndarray]:
    """Targets are the probabilities of the classifier."""
    del requested, blend
    return thought, np.full(len(thought), True)


def blended_targets(requested: np.ndarray, thought: np.ndarray, blend: float) -> tuple[np.ndarray, np.ndarray]:
    """Targets are the mean of both, by `blend`."""
    return blend * requested + (1 - blend) * thought, np.full(len(requested), True)


def agreed_targets(requested: np.ndarray, thought: np.ndarray, blend: float) -> tuple[np.ndarray, np.ndarray]:
    """Targets are the classes asked for; images that the classifier takes for another class are left out."""
    del blend
    likeliest = thought.argmax(axis=1)
    return requested, requested[np.arange(len(requested)), likeliest] > 0


SYNTHETIC_TARGETS: dict[str, MakeTargets] = {
    REQUESTED: requested_targets,
    "soft": soft_targets,
    "blend": blended_targets,
    "agree": agreed_targets,
}
