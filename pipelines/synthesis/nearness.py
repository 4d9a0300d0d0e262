"""How near synthetic images lie to the real images that they were made from."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import tensorflow as tf

from melgan.metrics.extractors import pixel_vectors
from melgan.metrics.memorisation import pixel_views, threshold
from melgan.metrics.neighbours import squared_distances, squared_norms
from melgan.translation.sources import Sources
from tfrecords_tools.example import parse
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.records import read_records

_LEAST_SOURCES, _MOST_ASKED = 2, 500
_CHUNK = 256  # images whose eight views are held at a time


def fraction_near_source(folder: AnyPath, entries: Sequence[ShardEntry], sources: Sources | None) -> float | None:
    """Returns the fraction of synthetic images that lie nearer to their own source than real images lie to any other.

    Nearer than nineteen in twenty of the sources lie to the source that is nearest to each; in pixels, of any of the
    eight views.

    Arguments:
      folder: of synthetic shards.
      entries: of these shards.
      sources: the real images; None if none were made from any.

    Returns:
      None without sources, or with a single one.
    """
    if sources is None or len(sources) < _LEAST_SOURCES:
        return None
    vectors = pixel_vectors(sources.images)
    place_of = {name: place for place, name in enumerate(sources.names.tolist())}
    distances = [
        np.linalg.norm(pixel_views(images) - vectors[places][:, None], axis=2).min(axis=1)
        for images, places in _chunks(folder, entries, place_of)
    ]
    return float((np.concatenate(distances) < threshold(_distances_apart(sources.images, vectors))).mean())


def _chunks(
    folder: AnyPath, entries: Sequence[ShardEntry], place_of: dict[str, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields synthetic images, uint8 `[N, H, W, 3]`, with the places `[N]` of the sources that they show most of."""
    for entry in entries:
        records = iter(read_records(folder / entry.file))
        while chunk := [parse(record) for record in islice(records, _CHUNK)]:
            images = [tf.io.decode_jpeg(features["image"][0], channels=3).numpy() for features in chunk]
            yield np.stack(images), np.array([place_of[features["made_from"][0].decode()] for features in chunk])


def _distances_apart(images: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Returns how far real images lie from the nearest other one, of some that are spread evenly over them.

    Arguments:
      images: uint8 `[N, H, W, 3]`.
      vectors: of these `[N, F]`.
    """
    rows = np.unique(np.linspace(0, len(images) - 1, min(len(images), _MOST_ASKED)).astype(int))
    views = pixel_views(images[rows])
    flat = views.reshape(-1, views.shape[-1])
    squared = squared_distances(flat @ vectors.T, squared_norms(flat), squared_norms(vectors))
    squared = squared.reshape(*views.shape[:2], -1).min(axis=1)
    squared[np.arange(len(rows)), rows] = np.inf
    return np.sqrt(squared.min(axis=1))
