"""Images of a generator that is none of ours as synthetic shards."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from absl import logging

from pipelines.artefacts.adopted_run import TRAINING, UNKNOWN, AdoptSyntheticConfig
from pipelines.artefacts.mixing import coding_of, quality_of
from pipelines.artefacts.shards import Shards, split_fold
from pipelines.contract.inputs import absolute
from pipelines.contract.progress import Progress
from pipelines.conversion.writing import require_few_rejected
from pipelines.synthesis.writing import SPLIT, manifest_of
from tfrecords_tools.example import Example, Provenance
from tfrecords_tools.foundation.errors import CommandError, DataError
from tfrecords_tools.foundation.files import AnyPath, ListedFile, as_path, crc32c, is_folder, is_remote
from tfrecords_tools.images import Encoding, RefusedImage, convert, encode_jpeg, jpeg_coding, open_image
from tfrecords_tools.manifest import Manifest, ShardEntry, read_manifest
from tfrecords_tools.provenance import DECLARED, NOT_KNOWN, SyntheticProvenance
from tfrecords_tools.shards import ShardResult, read_part, remove_leftovers, write_examples, write_part
from tfrecords_tools.source_files import read_source_file
from tfrecords_tools.sources.image_folder import EXTENSIONS
from tfrecords_tools.sources.listing import list_images
from tfrecords_tools.sources.table import require_folder


@dataclass(frozen=True)
class AdoptedImages:
    """Files of images in order of their names.

    Attributes:
      root: the folder that their names lead from.
      files: of the images.
      labels: their classes.
      classes: names of the classes, of which some may have no image.
    """

    root: AnyPath
    files: tuple[ListedFile, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class DeclaredGenerator:
    """What drew adopted images: its name, a digest of them that stands for its weights, and how they are stored."""

    name: str
    sha256: str
    encoding: Encoding

    def image_name(self, index: int) -> str:
        """Returns the name of an image by its number."""
        return f"{self.name}_{self.sha256[:8]}_{index:07d}"


def list_adopted(config: AdoptSyntheticConfig, classes: Sequence[str]) -> AdoptedImages:
    """Returns the images that are adopted.

    Raises:
      CommandError: for a class that the real shards do not have.
      DataError: if there is no such folder, or no image in it.
    """
    folder = as_path(config.images)
    folder = folder if is_remote(folder) else folder.absolute()
    require_folder(folder, "--images must be a folder of images")
    if config.label and config.label not in classes:
        raise CommandError(f"--label={config.label}: no class of the real shards, which have {', '.join(classes)}")
    if config.label and is_folder(folder / config.label):
        folder = folder / config.label
    files = list_images(folder, EXTENSIONS)
    if not files:
        raise DataError(f"{folder}: no images ({', '.join(EXTENSIONS)}) in it; give a folder of images")
    names = [config.label or _class_folder(folder, file, classes) for file in files]
    return AdoptedImages(folder, tuple(files), tuple(map(classes.index, names)), tuple(classes))


def digest_of(images: AdoptedImages) -> str:
    """Returns the SHA-256 of the names and the contents of images, all of which it reads."""
    digest, progress = hashlib.sha256(), Progress("reading", len(images), "images")
    for number, file in enumerate(images.files, start=1):
        try:
            checksum = crc32c(_read(images, file))
        except RefusedImage:
            checksum = "refused"  # with its reason when its shard is written
        digest.update(f"{file.name}\0{checksum}\n".encode())
        progress.update(number)
    return digest.hexdigest()


def require_same_images(config: AdoptSyntheticConfig, folder: AnyPath) -> None:
    """Raises CommandError if a completed folder was made of other images than lie at their path now, if any do."""
    manifest = read_manifest(folder)
    if not is_folder(as_path(config.images)):
        return  # away: they have done their work
    now = digest_of(list_adopted(config, manifest.classes))
    if now != manifest.provenance.generator:
        raise CommandError(
            f"{folder}: complete, but with other images than {config.images} holds now ({now[:8]}, not "
            f"{manifest.provenance.generator[:8]}); choose another folder"
        )


def encoding_for(config: AdoptSyntheticConfig, shards: Shards) -> Encoding:
    """Returns how images are stored: as the real ones."""
    return Encoding(image_size=shards.manifest.image_size, fit=config.fit, quality=quality_of(shards))


def write_adopted(
    folder: AnyPath, images: AdoptedImages, generator: DeclaredGenerator, *, shard_size: int, max_rejected: str
) -> list[ShardResult]:
    """Writes the shards that an earlier run has not finished; classes are spread over them. Returns all.

    Raises:
      DataError: if more images cannot be read than are allowed, see `allowed_of`, or none can.
    """
    num_shards = -(-len(images) // shard_size)
    done = {index: part for index in range(num_shards) if (part := read_part(folder, SPLIT, index))}
    remove_leftovers(folder, keep=[part.entry.file for part in done.values()])
    progress = Progress("adopted images", len(images), "images", sum(part.entry.records for part in done.values()))
    results = []
    for index in range(num_shards):
        if index not in done:
            rejected: list[tuple[str, str, str]] = []
            examples = _examples(images, generator, range(index, len(images), num_shards), rejected)
            entry = write_examples(folder, SPLIT, index, examples, len(images.classes))
            done[index] = write_part(folder, ShardResult(entry, tuple(rejected)))
        results.append(done[index])
        progress.update(sum(result.entry.records + len(result.rejected) for result in results))
        require_few_rejected(results, max_rejected, len(images))
    if not any(result.entry.records for result in results):
        _, file, reason = results[0].rejected[0]
        raise DataError(f"{images.root}: no image can be read, the first is {file} ({reason}); repair them")
    return results


def adopted_manifest(
    config: AdoptSyntheticConfig, shards: Shards, generator: DeclaredGenerator, entries: Sequence[ShardEntry]
) -> Manifest:
    """Returns the manifest of adopted images.

    Arguments:
      config: what is declared of their generator.
      shards: the real ones.
      generator: that drew them.
      entries: their shards.
    """
    provenance = SyntheticProvenance(
        generator=generator.sha256,
        gan=absolute(config.images),
        method=generator.name,
        seed=0,
        trained_on=shards.used(seen_entries(config, shards)),
        seen_is=NOT_KNOWN if config.seen == UNKNOWN else DECLARED,
    )
    encoding = generator.encoding
    return manifest_of(
        entries, provenance, classes=shards.classes, image_size=encoding.image_size, quality=encoding.quality
    )


def seen_entries(config: AdoptSyntheticConfig, shards: Shards) -> tuple[ShardEntry, ...]:
    """Returns the real shards that the generator was trained on, as it is declared; all where it is not known."""
    if config.seen == TRAINING:
        return split_fold(shards.manifest, config.num_folds, config.fold)[0]
    return shards.manifest.split("train") if config.seen == UNKNOWN else ()


def table_of(images: AdoptedImages, generator: DeclaredGenerator) -> pd.DataFrame:
    """Returns the file of every image by its name."""
    rows = [(generator.image_name(index), file.name) for index, file in enumerate(images.files)]
    return pd.DataFrame(rows, columns=["image_name", "file"])


def _class_folder(folder: AnyPath, file: ListedFile, classes: Sequence[str]) -> str:
    """Returns the class whose folder a file lies in."""
    parts = PurePosixPath(file.name).parts
    if len(parts) > 1 and parts[0] in classes:
        return parts[0]
    raise CommandError(
        f"{folder / file.name}: lies in no folder of a class; the real shards have {', '.join(classes)}. Move it to "
        "one, or give --label for all images"
    )


def _read(images: AdoptedImages, file: ListedFile) -> bytes:
    return read_source_file(images.root, file.name, file.size)


def _examples(
    images: AdoptedImages, generator: DeclaredGenerator, indices: Sequence[int], rejected: list[tuple[str, str, str]]
) -> Iterator[Example]:
    """Yields images by their numbers, and adds those that cannot be read to `rejected`, with file and reason."""
    side, quality, enlarged = generator.encoding.image_size, generator.encoding.quality, 0
    coding = coding_of(side, quality)  # of real images, by which a classifier could tell others
    for index in indices:
        file, name = images.files[index], generator.image_name(index)
        try:
            converted = convert(_read(images, file), generator.encoding)
        except RefusedImage as refusal:
            rejected.append((name, str(images.root / file.name), str(refusal)))
            continue
        enlarged += min(converted.source_size) < side
        jpeg = converted.jpeg
        yield Example(
            image=jpeg if jpeg_coding(jpeg) == coding else _encoded(jpeg, quality),
            image_name=name,
            target=images.labels[index],
            width=side,
            height=side,
            provenance=Provenance(generator=generator.sha256, method=generator.name, seed=0, index=index),
        )
    if enlarged:
        logging.warning(
            "%d images are smaller than %d px and were enlarged; a classifier may tell them by their blur",
            enlarged,
            side,
        )


def _encoded(jpeg: bytes, quality: int) -> bytes:
    """Returns an image that `convert` passed through as it came, compressed as all others."""
    with open_image(jpeg) as image:
        return encode_jpeg(np.asarray(image.convert("RGB")), quality)
