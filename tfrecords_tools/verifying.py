"""Checks shards, and any TFRecord file, and names what is broken."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import google_crc32c

from tfrecords_tools.example import origin_of
from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, file_crc32c, file_size, is_file, is_remote, open_bytes
from tfrecords_tools.manifest import ShardEntry
from tfrecords_tools.records import Readable, ScannedRecord, decompressed, read_records, require_room, scan_records

_CHUNK = 1 << 20


def verify_shards(folder: AnyPath, shards: Iterable[ShardEntry]) -> None:
    """Re-reads every shard and compares its size and checksum with the manifest, and local ones with their headers.

    Raises:
      DataError: naming every shard that is missing, cut short or damaged, or the first whose headers cannot be right.
    """
    shards = list(shards)
    _raise([problem for shard in shards if (problem := _problem(folder / shard.file, shard))])
    if not is_remote(folder):
        for shard in shards:
            require_room(folder / shard.file)


def require_sizes(folder: AnyPath, shards: Iterable[ShardEntry]) -> None:
    """Does nothing if all shards are there in their size; reads none.

    Raises:
      DataError: naming those that are missing or cut short.
    """
    _raise([problem for shard in shards if (problem := _problem_of_size(folder / shard.file, shard))])


def require_one_generator(folder: AnyPath, shards: Iterable[ShardEntry], generator: str) -> None:
    """Does nothing if every record of synthetic shards names one generator, and real shards that its entry names.

    Arguments:
      folder: of the shards.
      shards: sound ones.
      generator: SHA-256 of its weights, as the manifest has it.

    Raises:
      DataError: naming the first record that names others.
    """
    for shard in shards:
        for number, record in enumerate(read_records(folder / shard.file)):
            named, real_shards = origin_of(record)
            if named != generator:
                raise DataError(
                    f"{folder / shard.file}: record {number} is of the generator {named[:8] or 'unknown'}, the "
                    f"manifest names {generator[:8]}; make these shards again, in a new folder"
                )
            if not set(real_shards) <= set(shard.made_from):
                raise DataError(
                    f"{folder / shard.file}: record {number} was made from real images of shards {list(real_shards)}, "
                    f"the manifest names {list(shard.made_from)}; make these shards again, in a new folder"
                )


def _raise(problems: list[str]) -> None:
    if problems:
        raise DataError("; ".join(problems) + "; make these shards again (delete the folder and run make_shards)")


def _problem_of_size(path: AnyPath, shard: ShardEntry) -> str | None:
    if not is_file(path):
        return f"{path}: the shard is missing"
    if (size := file_size(path)) != shard.bytes:
        return f"{path}: {size} bytes, but the manifest says {shard.bytes}"
    return None


def _problem(path: AnyPath, shard: ShardEntry) -> str | None:
    if problem := _problem_of_size(path, shard):
        return problem
    if file_crc32c(path) != shard.crc32c:
        return f"{path}: damaged, its checksum is not the manifest's {shard.crc32c}"
    return None


@dataclass(frozen=True)
class Problem:
    """Something wrong with a file, or with one record of it (counted from 0, with the byte where it begins)."""

    path: AnyPath
    reason: str
    record: int | None = None
    offset: int | None = None

    def __str__(self) -> str:
        place = "" if self.record is None else f" record {self.record} at byte {self.offset}"
        return f"{self.path}:{place} {self.reason}"


class FileCheck:
    """One pass over a TFRecord file, of whatever origin: its sound records, and all that is wrong with it.

    After `sound_records` was exhausted, `records` counts those that could be framed, damaged data or not, `position`
    is the file's size in bytes and `crc32c` its checksum. Memory holds one record, and the problems.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = path
        self.records = 0
        self.problems: list[Problem] = []
        self._tally = _Tally()

    @property
    def position(self) -> int:
        """The number of bytes of the file that have been read."""
        return self._tally.bytes

    @property
    def crc32c(self) -> str:
        """The CRC-32C of the bytes that have been read, as 8 hexadecimal digits."""
        return self._tally.checksum.hexdigest().decode()

    def sound_records(self) -> Iterator[ScannedRecord]:
        """Yields the records whose checksums are right and notes the problems of the others."""
        try:
            with open_bytes(self.path) as file:
                self._tally.file = file
                for record in scan_records(decompressed(file, self._tally)):
                    self.records += record.framed
                    if record.payload is None:
                        self._note(record)
                    else:
                        yield record
                while self._tally.read(_CHUNK):  # what cannot be framed belongs to the checksum too
                    pass
        except OSError as error:
            self.problems.append(Problem(self.path, f"cannot be read ({error.strerror or error})"))

    def add_record_problem(self, record: ScannedRecord, reason: str) -> None:
        """Notes something wrong inside a record that is sound in itself."""
        self.problems.append(Problem(self.path, reason, record.number, record.offset))

    def _note(self, record: ScannedRecord) -> None:
        rest = "" if record.framed else "; what follows in this file cannot be told apart into records"
        if record.number == 0 and "damaged header" in record.problem:
            rest = "; either damaged, or no TFRecord file at all"
        self.add_record_problem(record, record.problem + rest)


def expected_records(name: str) -> int | None:
    """Returns the count that the Kaggle custom writes into a file's name, such as 2071 for train00-2071.tfrec.

    Only names in `.tfrec` have it: in others (cifar-10.tfrecord) a number may mean anything.
    """
    match = re.search(r"-([0-9]+)\.tfrec$", name)
    return int(match[1]) if match else None


def file_problems(check: FileCheck, entry: ShardEntry | None, targets: Mapping[int, int] | None) -> list[Problem]:
    """Returns what is wrong with a file as a whole, after all of it was read.

    Arguments:
      check: the finished pass over the file.
      entry: what the manifest says of it, None if there is no manifest.
      targets: how many records have each `target`; None if that was not counted.
    """
    expected = entry.records if entry else expected_records(check.path.name)
    said_by = "the manifest" if entry else "its name"
    reasons = []
    if not check.records and expected != 0:
        reasons.append("the file is empty" if not check.position else "the file holds no whole record")
    elif expected is not None and check.records != expected:
        reasons.append(f"holds {check.records} of the {expected} records that {said_by} says")
    if entry and check.position not in (0, entry.bytes):
        reasons.append(f"has {check.position} bytes, but the manifest says {entry.bytes}")
    if entry and not reasons and not check.problems:
        reasons += _difference_in_contents(check, entry, targets)
    return [Problem(check.path, reason) for reason in reasons]


def _difference_in_contents(check: FileCheck, entry: ShardEntry, targets: Mapping[int, int] | None) -> Iterator[str]:
    if check.crc32c != entry.crc32c:
        yield f"its checksum is {check.crc32c}, but the manifest says {entry.crc32c}: other records than those made"
    if targets is None or not entry.class_counts:
        return
    counts = tuple(targets.get(label, 0) for label in range(len(entry.class_counts)))
    if counts != entry.class_counts:
        yield f"its classes have {_list(counts)} records, but the manifest says {_list(entry.class_counts)}"


def missing_numbered_files(names: Iterable[str]) -> list[str]:
    """Returns the names that are missing of sets such as train.tfrecord-00000-of-00005, in order."""
    found, sets = set(names), {}
    for name in found:
        if match := re.fullmatch(r"(.*-)(\d+)(-of-)(\d+)(.*)", name):
            before, index, of, total, after = match.groups()
            sets[before, of + total + after] = (len(index), int(total))
    wanted = {
        f"{before}{index:0{digits}d}{after}"
        for (before, after), (digits, total) in sets.items()
        for index in range(total)
    }
    return sorted(wanted - found)


class _Tally:
    """Counts and checksums the bytes of a file as they are read."""

    def __init__(self) -> None:
        self.file: Readable | None = None
        self.bytes = 0
        self.checksum = google_crc32c.Checksum()

    def read(self, size: int) -> bytes:
        """Returns the next bytes, and counts them."""
        data = self.file.read(size)
        self.bytes += len(data)
        self.checksum.update(data)
        return data


def _list(counts: tuple[int, ...]) -> str:
    return ", ".join(str(count) for count in counts)
