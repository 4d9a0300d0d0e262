"""How near synthetic images lie to what they were made from, where some or all were made from nothing."""

import numpy as np

from melgan.sources import Sources
from pipelines.synthesis.nearness import fraction_near_source
from tests.tfrecords_tools.tiny_shards import encoded
from tfrecords_tools.example import Example, Provenance
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.shards import write_examples

SIDE, COUNT = 16, 6
IMAGES = np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3)).astype(np.uint8)
SOURCES = Sources(np.array([f"{number}" for number in range(COUNT)]), IMAGES, None, np.zeros(COUNT, int))


def written(folder, made_from: list[tuple[str, ...]]) -> list[ShardEntry]:
    examples = [
        Example(
            image=encoded(IMAGES[number], "PNG"),
            image_name=f"drawn {number}",
            target=0,
            provenance=Provenance(generator="0a", method="any", seed=0, index=number, made_from=names),
        )
        for number, names in enumerate(made_from)
    ]
    return [write_examples(folder, "synthetic", 0, examples, 1)]


def test_images_that_were_made_from_none_do_not_count(tmp_path):
    """The first is a copy of its source, the second one of an image that is not its source."""
    entries = written(tmp_path, [("0",), ("0",), (), ()])
    assert fraction_near_source(tmp_path, entries, SOURCES) == 0.5


def test_a_set_that_was_made_from_none_is_near_to_none(tmp_path):
    assert fraction_near_source(tmp_path, written(tmp_path, [(), ()]), SOURCES) is None
