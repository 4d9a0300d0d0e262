"""The TFRecord framing: length, checksum of the length, payload, checksum of the payload.

Source: tensorflow/core/lib/io/record_writer.h. Checksums are CRC-32C, rotated and offset ("masked"). A whole file
may be compressed (GZIP or ZLIB in TensorFlow's words); that is seen from its first bytes. Records count from 0.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

import google_crc32c

from tfrecords_tools.foundation.errors import DataError
from tfrecords_tools.foundation.files import AnyPath, open_bytes

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CHECKSUM.size
_CHUNK = 1 << 20
_MOST_BYTES = 2**31 - 1  # of a protocol buffer, such as tf.train.Example


class Readable(Protocol):
    """Anything with `read(size)`: at most `size` bytes, and fewer only at the end."""

    def read(self, size: int) -> bytes:
        """Returns the next bytes."""


@dataclass(frozen=True)
class ScannedRecord:
    """A record as it stands in a file; `payload` is None where `problem` tells what is wrong.

    `offset` is the place of its header in bytes (in a compressed file: after decompression). `framed` tells whether its
    header and length are sound, so that it counts as a record and the next one can be found.
    """

    number: int
    offset: int
    payload: bytes | None = None
    problem: str = ""
    framed: bool = True


def frame(record: bytes) -> bytes:
    """Returns the record with its TFRecord header and footer."""
    length = _LENGTH.pack(len(record))
    return b"".join((length, _CHECKSUM.pack(_masked_crc(length)), record, _CHECKSUM.pack(_masked_crc(record))))


def read_records(path: AnyPath) -> Iterator[bytes]:
    """Yields the records of a TFRecord file, each checked.

    Raises:
      DataError: at the first record whose framing or checksum is wrong, with its number.
    """
    with open_bytes(path) as file:
        for record in scan_records(decompressed(file, file)):
            if record.payload is None:
                raise DataError(f"{path}: record {record.number} {record.problem}; write the file again")
            yield record.payload


def read_record(path: AnyPath, offset: int) -> bytes:
    """Returns the record whose header stands at a place of a file that is not compressed.

    Raises:
      DataError: if no sound record stands there.
    """
    with open_bytes(path) as file:
        file.seek(offset)
        record, _ = _scan_record(file, 0, offset)
    if record is None or record.payload is None:
        problem = "is not there" if record is None else record.problem
        raise DataError(f"{path}: the record at byte {offset} {problem}; write the file again")
    return record.payload


def scan_records(file: Readable) -> Iterator[ScannedRecord]:
    """Yields every record of an open TFRecord file, the damaged ones too.

    After damaged data it continues with the next record. After a damaged header nothing tells where the next record
    begins, so that one is the last.
    """
    number = offset = 0
    while True:
        record, size = _scan_record(file, number, offset)
        if record is not None:
            yield record
        if record is None or not record.framed:
            return
        number, offset = number + 1, offset + size


def require_room(path: Path) -> None:
    """Does nothing if every header of a local file, that is not compressed, fits what follows; reads headers only.

    TensorFlow takes as much memory as a header claims, and is killed by SIGSEGV where there is not so much.

    Raises:
      DataError: naming the first record whose header is damaged, or claims more than the file has left.
    """
    size, offset, number = path.stat().st_size, 0, 0
    with path.open("rb", buffering=0) as file:
        while offset < size:
            file.seek(offset)
            header = file.read(_HEADER_BYTES)
            problem = _problem_of_header(header)
            taken = 0 if problem else _HEADER_BYTES + _LENGTH.unpack_from(header)[0] + _CHECKSUM.size
            if not problem and taken > size - offset:
                problem = f"claims {taken} bytes where {size - offset} are left"
            if problem:
                raise DataError(f"{path}: record {number} at byte {offset} {problem}; write the file again")
            number, offset = number + 1, offset + taken


def decompressed(file: BinaryIO, source: Readable) -> Readable:
    """Returns what reads `source` decompressed, if `file`, which stands at its start, is compressed, or else `source`.

    `source` reads the same file, perhaps by way of something that counts.
    """
    return _Inflated(source) if is_compressed(file) else source


def is_compressed(file: BinaryIO) -> bool:
    """Returns whether an open file, which stands at its start and stays there, is compressed by GZIP or ZLIB."""
    start = file.read(_HEADER_BYTES)
    file.seek(0)
    if len(start) == _HEADER_BYTES and _header_is_sound(start):
        return False
    is_zlib = len(start) >= 2 and start[0] == 0x78 and int.from_bytes(start[:2], "big") % 31 == 0
    return start[:2] == b"\x1f\x8b" or is_zlib


def _scan_record(file: Readable, number: int, offset: int) -> tuple[ScannedRecord | None, int]:
    """Returns the next record, or None at the end, and how many bytes it takes."""

    def broken(problem: str) -> tuple[ScannedRecord, int]:
        return ScannedRecord(number, offset, problem=problem, framed=False), 0

    try:
        header = file.read(_HEADER_BYTES)
        if not header:
            return None, 0
        if problem := _problem_of_header(header):
            return broken(problem)
        (length,) = _LENGTH.unpack_from(header)
        payload, footer = _read_all(file, length), file.read(_CHECKSUM.size)
    except zlib.error as error:
        return broken(f"cannot be decompressed ({error})")
    if len(footer) < _CHECKSUM.size:
        there = len(payload) + len(footer)
        return broken(f"ends inside its data ({there} of {length + _CHECKSUM.size} bytes): the file was cut short")
    size = _HEADER_BYTES + length + _CHECKSUM.size
    if _masked_crc(payload) != _CHECKSUM.unpack(footer)[0]:
        return ScannedRecord(number, offset, problem="has damaged data (checksum differs)"), size
    return ScannedRecord(number, offset, payload), size


def _problem_of_header(header: bytes) -> str:
    if len(header) < _HEADER_BYTES:
        return f"ends inside its header ({len(header)} of {_HEADER_BYTES} bytes): the file was cut short"
    if not _header_is_sound(header):
        return "has a damaged header"
    (length,) = _LENGTH.unpack_from(header)
    return f"claims {length} bytes, more than any record can have" if length > _MOST_BYTES else ""


def _read_all(file: Readable, length: int) -> bytes:
    """Reads in pieces, because a header may claim far more than the file holds."""
    if length <= _CHUNK:
        return file.read(length)
    pieces, missing = [], length
    while missing and (piece := file.read(min(missing, _CHUNK))):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


class _Inflated:
    """Reads GZIP or ZLIB data, of one or several members, decompressed."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self._inflater = _new_inflater()
        self._waiting = b""

    def read(self, size: int) -> bytes:
        """Returns the next decompressed bytes."""
        pieces, missing = [], size
        while missing and (piece := self._next(missing)):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _next(self, most: int) -> bytes:
        """Returns some decompressed bytes, none only at the end."""
        while True:
            compressed = self._waiting or self._file.read(_CHUNK)
            if self._inflater.eof:
                if not compressed:
                    return b""
                self._inflater = _new_inflater()
            piece = self._inflater.decompress(compressed, most)
            self._waiting = self._inflater.unconsumed_tail or self._inflater.unused_data
            if piece:
                return piece
            if not compressed and not self._inflater.eof:
                raise zlib.error("the compressed data end too early: the file was cut short")


def _new_inflater():
    return zlib.decompressobj(wbits=47)  # 32 + 15: GZIP or ZLIB, whichever the first bytes say


def _header_is_sound(header: bytes) -> bool:
    return _masked_crc(header[: _LENGTH.size]) == _CHECKSUM.unpack_from(header, _LENGTH.size)[0]


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
