"""How near synthetic images lie to the real images that they were made from."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import tensorflow as tf

from melgan.metrics.extractors import pixel_vectors
from melgan.metrics.memorisation import pixel_views
from melgan.metrics.translation import distances_apart, near_source, source_distances
from melgan.sources import Sources
from tfrecords_tools.example import parse
from tfrecords_tools.foundation.files import AnyPath
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.records import read_records

_LEAST_SOURCES, _MOST_ASKED = 2, 500  # of the latter, spread evenly, it is asked how far they lie apart
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
      None without sources, with a single one, or for images of which none was made from any.
    """
    if sources is None or len(sources) < _LEAST_SOURCES:
        return None
    vectors = pixel_vectors(sources.images)
    rows = np.unique(np.linspace(0, len(sources) - 1, min(len(sources), _MOST_ASKED)).astype(int))
    apart = distances_apart(pixel_views(sources.images[rows]), vectors, rows)
    place_of = {name: place for place, name in enumerate(sources.names.tolist())}
    distances, groups = [], []
    for images, places in _chunks(folder, entries, place_of):
        distances.append(source_distances(pixel_views(images), vectors[places]))
        groups.append(places)
    if not distances:
        return None
    return near_source(np.concatenate(distances), apart, np.concatenate(groups)).value


def _chunks(
    folder: AnyPath, entries: Sequence[ShardEntry], place_of: dict[str, int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields synthetic images, uint8 `[N, H, W, 3]`, with the places `[N]` of the sources that they show most of."""
    for entry in entries:
        parsed = map(parse, read_records(folder / entry.file))
        made = (features for features in parsed if features.get("made_from"))  # what was drawn into given boxes is not
        while chunk := list(islice(made, _CHUNK)):
            images = [tf.io.decode_jpeg(features["image"][0], channels=3).numpy() for features in chunk]
            yield np.stack(images), np.array([place_of[features["made_from"][0].decode()] for features in chunk])
