"""The eight ways in which a square image can be turned and mirrored."""

from collections.abc import Iterator

import numpy as np

NUM_VIEWS = 8


def views_of(images: np.ndarray) -> Iterator[np.ndarray]:
    """Yields images `[N, H, H, C]` as they are, then turned by quarters, then mirrored and turned."""
    for mirrored in (images, images[:, :, ::-1]):
        for quarters in range(4):
            yield np.ascontiguousarray(np.rot90(mirrored, quarters, axes=(1, 2)))
