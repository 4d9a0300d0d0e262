"""The TFRecord framing: length, checksum of the length, payload, checksum of the payload.

Source: tensorflow/core/lib/io/record_writer.h. Checksums are CRC-32C, rotated and offset ("masked").
"""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from tfrecords_tools.errors import DataError

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
_HEADER_BYTES = _LENGTH.size + _CHECKSUM.size


def frame(record: bytes) -> bytes:
    """Returns the record with its TFRecord header and footer."""
    length = _LENGTH.pack(len(record))
    return b"".join((length, _CHECKSUM.pack(_masked_crc(length)), record, _CHECKSUM.pack(_masked_crc(record))))


def read_records(path: Path) -> Iterator[bytes]:
    """Yields the records of a TFRecord file, each checked.

    Raises:
      DataError: at the first record whose framing or checksum is wrong, with its number.
    """
    with open(path, "rb") as file:
        number = 0
        while header := file.read(_HEADER_BYTES):
            yield _read_payload(file, header, path, number)
            number += 1


def _read_payload(file: BinaryIO, header: bytes, path: Path, number: int) -> bytes:
    if len(header) < _HEADER_BYTES:
        raise DataError(f"{path}: record {number} ends inside its header; the file was cut short, write it again")
    length_bytes, (length_crc,) = header[: _LENGTH.size], _CHECKSUM.unpack(header[_LENGTH.size :])
    if _masked_crc(length_bytes) != length_crc:
        raise DataError(f"{path}: record {number} has a damaged header; write the file again")
    (length,) = _LENGTH.unpack(length_bytes)
    body = file.read(length + _CHECKSUM.size)
    if len(body) < length + _CHECKSUM.size:
        raise DataError(f"{path}: record {number} ends inside its data; the file was cut short, write it again")
    payload = body[:length]
    if _masked_crc(payload) != _CHECKSUM.unpack(body[length:])[0]:
        raise DataError(f"{path}: record {number} has damaged data (checksum differs); write the file again")
    return payload


def _masked_crc(data: bytes) -> int:
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
