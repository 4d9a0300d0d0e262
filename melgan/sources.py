"""Real images that others are made from."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sources:
    """Real images by name, with masks of their lesions where these are known.

    `names` are what the images are called `[N]`, `images` are uint8 `[N, H, W, 3]`, `masks` uint8 `[N, H, W]`, 0 or 255
    where the lesion is, None if no masks are known, and `labels` their classes `[N]`.
    """

    names: np.ndarray
    images: np.ndarray
    masks: np.ndarray | None
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: np.ndarray) -> "Sources":
        """Returns the images of some rows."""
        masks = None if self.masks is None else self.masks[rows]
        return Sources(self.names[rows], self.images[rows], masks, self.labels[rows])
