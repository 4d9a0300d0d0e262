"""Checks shards against their manifest and names what is broken."""

from collections.abc import Iterable
from pathlib import Path

from tfrecords_tools.errors import DataError
from tfrecords_tools.manifest import ShardEntry, file_crc32c


def verify_shards(folder: Path, shards: Iterable[ShardEntry]) -> None:
    """Re-reads every shard and compares its size and checksum with the manifest.

    Raises:
      DataError: naming every shard that is missing, cut short or damaged.
    """
    problems = [problem for shard in shards if (problem := _problem(folder / shard.file, shard))]
    if problems:
        raise DataError("; ".join(problems) + "; make these shards again (delete the folder and run make_shards)")


def _problem(path: Path, shard: ShardEntry) -> str | None:
    if not path.is_file():
        return f"{path}: the shard is missing"
    if path.stat().st_size != shard.bytes:
        return f"{path}: {path.stat().st_size} bytes, but the manifest says {shard.bytes}"
    if file_crc32c(path) != shard.crc32c:
        return f"{path}: damaged, its checksum is not the manifest's {shard.crc32c}"
    return None
