"""Duplicates: a hash survives another size or encoding, tells lesions apart, and the search misses no pair."""

import io
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse.csgraph import connected_components

from tests.tfrecords_tools.test_images import black_png, with_exif
from tests.tfrecords_tools.tiny_shards import encoded, plain
from tfrecords_tools import duplicates
from tfrecords_tools.duplicates import bits_from_first, find_duplicates
from tfrecords_tools.hashing import COARSE_BYTES, HASH_BYTES, MAX_BITS, MAX_COARSE_BITS, perceptual_hash
from tfrecords_tools.sources.phantom import Traits, draw_lesion


def lesion(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return draw_lesion(Traits(*rng.normal(size=4)), rng.random(), rng)


def resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def brighter(pixels: np.ndarray, factor: float) -> np.ndarray:
    return np.clip(pixels * factor, 0, 255).astype(np.uint8)


def bits(hash_: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(hash_, np.uint8), bitorder="little")


def with_flipped_bits(hash_: bytes, coarse: int, fine: int, rng: np.random.Generator) -> bytes:
    """Returns the hash with so many other bits in its coarse and in its fine part, at random places."""
    changed = bits(hash_).copy()
    changed[rng.choice(8 * COARSE_BYTES, coarse, replace=False)] ^= 1
    changed[8 * COARSE_BYTES + rng.choice(8 * (HASH_BYTES - COARSE_BYTES), fine, replace=False)] ^= 1
    return np.packbits(changed, bitorder="little").tobytes()


def random_hash(rng: np.random.Generator) -> bytes:
    return rng.bytes(HASH_BYTES)


def compare_all(hashes: list[bytes]) -> np.ndarray:
    """Groups by comparing every pair, bit for bit."""
    table = np.stack([bits(hash_) for hash_ in hashes]).astype(int)
    differs = table[:, None] != table[None]
    near = (differs[..., : 8 * COARSE_BYTES].sum(-1) <= MAX_COARSE_BITS) & (differs.sum(-1) <= MAX_BITS)
    return pd.factorize(connected_components(near)[1])[0]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "changed",
    [
        lambda image: encoded(image, "PNG"),
        lambda image: encoded(image, quality=60),
        lambda image: encoded(image, quality=85, progressive=True),
        lambda image: encoded(resized(image, 64, 64), quality=90),
        lambda image: encoded(resized(image, 256, 256), quality=90),
        lambda image: encoded(resized(image, 1920, 1280), quality=80),
        lambda image: encoded(brighter(image, 1.1), quality=90),
        lambda image: encoded(brighter(image, 0.85), quality=90),
        lambda image: encoded(brighter(resized(image, 90, 80), 1.05), quality=70),
    ],
    ids=["PNG", "q60", "progressive", "half", "double", "stretched", "brighter", "darker", "all of it"],
)
def test_an_image_is_found_again_in_another_size_encoding_and_brightness(seed, changed):
    image = lesion(seed)
    hashes = [perceptual_hash(encoded(image, quality=92)), perceptual_hash(changed(image))]
    assert len(hashes[0]) == len(hashes[1]) == HASH_BYTES == 72
    assert find_duplicates(hashes).tolist() == [0, 0]


def test_lesions_that_look_alike_are_not_one():
    hashes = [perceptual_hash(encoded(lesion(seed), quality=92)) for seed in range(150)]
    assert find_duplicates(hashes).tolist() == list(range(150))


def test_the_hash_is_the_signs_of_cosine_coefficients():
    across = np.cos(np.pi * 3 * (np.arange(64) + 0.5) / 64)  # 3 half waves: one coefficient of the first row
    pixels = np.rint(128 + 100 * np.stack([across] * 64)).astype(np.uint8)
    falling, rising = (perceptual_hash(encoded(wave, "PNG")) for wave in (pixels, 255 - pixels))
    wave_bit = bits(falling).astype(int) - bits(rising)
    # By frequency (0, 0) (0, 1) (1, 0) (0, 2) (1, 1) (2, 0) (0, 3): the 7th coefficient, so the first bit of band 6.
    assert wave_bit[16 * 6] == 1


@pytest.mark.parametrize("orientation", range(2, 9))
def test_the_exif_tag_is_followed(orientation):
    upright = lesion(3)
    stored = {
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.transpose(1, 0, 2),
        6: lambda image: np.rot90(image),
        7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda image: np.rot90(image, -1),
    }[orientation](upright)
    tagged = encoded(np.ascontiguousarray(stored), quality=92, exif=with_exif(orientation=orientation))
    untagged = encoded(np.ascontiguousarray(stored), quality=92)
    hashes = [perceptual_hash(data) for data in (encoded(upright, quality=92), tagged, untagged)]
    assert find_duplicates(hashes).tolist() == [0, 0, 1]


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA"])
def test_other_modes_are_hashed_by_what_they_show(mode):
    buffer = io.BytesIO()
    Image.fromarray(lesion(1)).convert(mode).save(buffer, "TIFF")
    assert find_duplicates([perceptual_hash(encoded(lesion(1))), perceptual_hash(buffer.getvalue())]).tolist() == [0, 0]


@pytest.mark.parametrize(
    "data",
    [b"", b"image_name,target\n", encoded(lesion(0))[:2000], black_png(20_000), encoded(plain(0)), encoded(plain(200))],
    ids=["empty", "text", "cut JPEG", "400 MP", "black", "blank"],
)
def test_what_cannot_be_read_or_shows_nothing_has_no_hash(data):
    assert perceptual_hash(data) is None


def test_images_without_a_hash_are_alone():
    one, other = bytes(HASH_BYTES), b"\xff" * HASH_BYTES
    groups = find_duplicates([None, one, None, other, one, None])
    assert groups.dtype == np.int64
    assert groups.tolist() == [0, 1, 2, 3, 1, 4]
    assert bits_from_first([None, one, None, other, one, None], groups).tolist() == [0] * 6
    assert find_duplicates([None, None]).tolist() == [0, 1]
    assert find_duplicates([]).tolist() == []
    assert bits_from_first([], np.empty(0, np.int64)).tolist() == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("coarse", range(MAX_COARSE_BITS + 2))
def test_a_pair_is_found_up_to_the_limit_of_coarse_bits_and_not_beyond(coarse, seed):
    rng = np.random.default_rng([seed, coarse])
    hashes = [random_hash(rng) for _ in range(20)]
    hashes.insert(7, with_flipped_bits(hashes[3], coarse, 5, rng))
    groups = find_duplicates(hashes)
    assert (groups[7] == groups[3]) == (coarse <= MAX_COARSE_BITS)
    assert groups.max() == (19 if coarse <= MAX_COARSE_BITS else 20)
    assert bits_from_first(hashes, groups)[7] == (coarse + 5 if coarse <= MAX_COARSE_BITS else 0)


@pytest.mark.parametrize("coarse", [0, 7, MAX_COARSE_BITS])
@pytest.mark.parametrize("beyond", [0, 1])
def test_a_pair_is_found_up_to_the_limit_of_all_bits_and_not_beyond(coarse, beyond):
    rng = np.random.default_rng(coarse)
    hash_ = random_hash(rng)
    other = with_flipped_bits(hash_, coarse, MAX_BITS - coarse + beyond, rng)
    assert find_duplicates([hash_, other]).tolist() == [0, beyond]


def test_thirty_one_bits_are_found_when_they_spare_no_band():
    # Two bits in fifteen bands and one in the last: the pair has one near band and no equal one.
    two, one = (0b11).to_bytes(2, "little"), (0b1).to_bytes(2, "little")
    fine = bytes(HASH_BYTES - COARSE_BYTES)
    for last in range(16):
        spread = b"".join(one if band == last else two for band in range(16))
        assert find_duplicates([bytes(HASH_BYTES), spread + fine]).tolist() == [0, 0]
    assert find_duplicates([bytes(HASH_BYTES), two * 16 + fine]).tolist() == [0, 1]


def test_a_group_is_a_chain():
    rng = np.random.default_rng(0)
    chain = [random_hash(rng)]
    for step in range(5):
        changed = bytearray(chain[-1])
        changed[4 * step : 4 * step + 3] = bytes(byte ^ 0xFF for byte in changed[4 * step : 4 * step + 3])  # 24 bits
        chain.append(bytes(changed))
    assert find_duplicates([*chain[::-1], random_hash(rng)]).tolist() == [0] * 6 + [1]
    assert bits_from_first(chain, np.zeros(6, int)).tolist() == [0, 24, 48, 72, 96, 120]
    assert find_duplicates([chain[0], chain[5]]).tolist() == [0, 1]


@pytest.mark.parametrize("pairs_at_a_time", [1, 3, 1 << 18])
@pytest.mark.parametrize("spread", [0.05, 0.06, 0.07, 0.5])
def test_groups_are_those_of_comparing_all_pairs(monkeypatch, pairs_at_a_time, spread):
    monkeypatch.setattr(duplicates, "_PAIRS", pairs_at_a_time)
    rng = np.random.default_rng(0)
    centres = rng.integers(0, 2, (8, 8 * HASH_BYTES))
    centres[:, : 8 * 8] = 0  # as in real images, some bits are alike in all
    table = centres[rng.integers(0, 8, 60)] ^ (rng.random((60, 8 * HASH_BYTES)) < spread)
    hashes = [row.tobytes() for row in np.packbits(table.astype(np.uint8), axis=1, bitorder="little")]
    groups = compare_all(hashes)
    assert spread == 0.5 or 1 < groups.max() + 1 < 60
    assert (find_duplicates(hashes) == groups).all()


@pytest.mark.parametrize("count", [1, 2, 50])
def test_pairs_are_all_those_of_near_values_once_each(count):
    values = np.random.default_rng(count).choice(np.array([0, 1, 2, 3, 7, 128, 0x8000, 0xFFFF], np.uint16), count)
    found = [
        tuple(sorted(map(int, pair)))
        for left, right in duplicates._pairs_with_near_values(values)
        for pair in zip(left, right, strict=True)
    ]
    near = [
        (a, b) for a, b in itertools.combinations(range(count), 2) if (int(values[a]) ^ int(values[b])).bit_count() <= 1
    ]
    assert sorted(found) == near


def test_bits_are_counted_alike_by_both_generations_of_numpy(monkeypatch):
    words = np.random.default_rng(0).integers(0, 2**64, (50, 9), np.uint64)
    expected = [sum(int(word).bit_count() for word in row) for row in words]
    assert duplicates._count_bits(words).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert duplicates._count_bits(words).tolist() == expected
    assert duplicates._count_bits(words[:0]).tolist() == []


def hashes_of(files: list[Path]) -> list[bytes | None]:
    return [perceptual_hash(file.read_bytes()) for file in files]


def test_real_lesions_are_found_again_at_twice_the_size(real_data):
    large = sorted((real_data / "isic_512").rglob("*.jpg"))
    small = [real_data / "isic" / "jpeg" / "train" / file.name for file in large]
    groups = find_duplicates(hashes_of(small) + hashes_of(large))
    assert len(large) == 300
    assert (groups[:300] == groups[300:]).all()
    assert groups.max() + 1 >= 295  # a few of them are themselves in the archive under two names


def test_real_duplicates_under_two_names_are_found_and_look_alikes_are_not(real_data):
    def pair(*names):
        return find_duplicates(hashes_of([next((real_data / "isic" / "jpeg").rglob(f"ISIC_{n}.jpg")) for n in names]))

    assert pair("0012673", "0012672").tolist() == [0, 0]
    assert pair("0000519", "0011295").tolist() == [0, 0]  # another exposure
    assert pair("0015310", "0000184").tolist() == [0, 0]  # other colours
    assert pair("0012544", "0014090").tolist() == [0, 1]  # small spots above a ruler
    assert pair("0001216", "0004985").tolist() == [0, 1]


def test_real_cells_are_each_their_own(real_data):
    files = sorted((real_data / "cells" / "train").glob("*.png"))[::4]
    assert find_duplicates(hashes_of(files)).tolist() == list(range(len(files)))
