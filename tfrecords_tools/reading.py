"""Streams of records -> tf.data: static shapes, decoded and augmented images, and targets.

Records are skipped, sliced among workers and mixed while they are still serialized, so a resumed run and a run on
more workers see the batches of an undisturbed run on one. Only then are images decoded and augmented, each with a
seed of its own. Images stay uint8 `[N, H, W, 3]`. Nothing here is Python that autograph would have to translate, which
takes seconds at every start.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial

import tensorflow as tf

from tfrecords_tools.example import BOXES_FEATURE, SOURCE_FEATURE
from tfrecords_tools.foundation.cores import num_cores
from tfrecords_tools.foundation.metadata import BOXES, MISSING, PATIENT, PATIENT_IMAGES, PROPERTIES, TEST_METADATA
from tfrecords_tools.outlines import OUTLINES
from tfrecords_tools.streams import ShardSet, Stream, mixed_records

_DECODE_SCALES = (1, 2, 4, 8)
_BATCHES_AHEAD = 4
_OUTLINES = "outlines"  # of an example, as they were parsed

# (image uint8 [H, W, 3], seed int64 [2]) -> image uint8 [H, W, 3]
Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


@tf.autograph.experimental.do_not_convert
def training_batches(
    streams: Sequence[Stream],
    *,
    num_classes: int,
    image_size: int,
    global_batch_size: int,
    seed: int,
    start_step: int = 0,
    num_workers: int = 1,
    worker: int = 0,
    num_replicas: int = 1,
    augment: Augment | None = None,
    max_boxes: int = 0,
    match_resolution: int = 0,
) -> tf.data.Dataset:
    """Yields endless shuffled batches for one worker.

    Each is a dictionary of
      `image`: uint8 `[B, H, W, 3]`;
      `views`: uint8 `[B, K, H, W, 3]`, if a stream gives several: the image in K augmentations, of which it is the
        first; a stream that gives fewer repeats its last one;
      `label`: int32 `[B]`, `MISSING` where it is hidden or not known; of annotated images the most probable class;
      `targets`: float32 `[B, num_classes]`, 1 for the label and 0 for the others, or as the images are annotated; 0 for
        all without a label;
      `is_labelled`: bool `[B]`, whether the stream of the image has labels;
      `stream`: int32 `[B]`, its number;
      the features of `PROPERTIES`, int32 `[B]`, of which images without a label have those of test images alone;
      `patient_images`, int32 `[B]`, `MISSING` unless it is annotated;
      `boxes`: float32 `[B, max_boxes, 4]`, if any are read;
      `mask`: uint8 `[B, H, W, 1]`, 255 at lesions and 0 elsewhere, if the streams are `outlined_by` something.

    Arguments:
      streams: what is mixed, in every stretch of the batches by their fractions.
      num_classes: how many classes there are.
      image_size: H and W of the batches; stored images of another size are resized by area.
      global_batch_size: images a step, over all replicas.
      seed: of the order and the augmentation.
      start_step: the step to begin with.
      num_workers, worker: this worker takes the `worker`-th slice of every global batch.
      num_replicas: in all workers together; B is `global_batch_size / num_replicas`.
      augment: applied to every decoded image, and with the same seed to its mask `[H, W, 1]`: beside masks it may move
        pixels and nothing else.
      max_boxes: how many boxes of each image are read, the largest first: x_min, y_min, x_max, y_max as fractions of
        the sides in [0, 1], and zeros where there are fewer.
      match_resolution: side in pixels that every image is reduced to, and compressed at as it would be in shards,
        before it is brought to `image_size`, so that images stored in several sizes look alike; 0: none.

    Raises:
      ValueError: if boxes are asked for beside an augmentation, which they would not follow, or streams have
        other outlines.
    """
    if augment is not None and max_boxes:
        raise ValueError(f"max_boxes is {max_boxes}; it must be 0 with an augmentation, which moves the image only")
    outlined_by, *others = sorted({stream.outlined_by for stream in streams})
    if others:
        raise ValueError(f"outlined_by is {[outlined_by, *others]}; it must be the same for all streams")
    start = start_step * global_batch_size
    decode_image = _image_decoder([stream.shards for stream in streams], image_size, match_resolution)
    numbered = mixed_records(streams, seed, start).enumerate(start=start)
    if num_workers > 1:
        slice_size = global_batch_size // num_workers
        numbered = numbered.filter(lambda number, _: number % global_batch_size // slice_size == worker)

    def decode(number: tf.Tensor, stream_and_record: tuple[tf.Tensor, tf.Tensor]) -> dict[str, tf.Tensor]:
        stream, record = stream_and_record
        example = _annotated(_parse(record, max_boxes, outlined_by), streams, stream, num_classes)
        del example["image_name"], example["patient_id"]
        image = decode_image(example["image"])
        views = _views(image, [each.num_views for each in streams], stream, augment, seed, number)
        example |= {"image": views[0]} | ({"views": tf.stack(views)} if len(views) > 1 else {})
        if outlined_by:
            mask = OUTLINES[outlined_by].draw(example.pop(_OUTLINES), image_size)
            example["mask"] = _views(mask, [1], tf.zeros_like(stream), augment, seed, number)[0]
        return _without_hidden(example, streams, stream)

    decoded = numbered.map(decode, num_parallel_calls=num_cores(), deterministic=True)
    return _prefetched(decoded.batch(global_batch_size // num_replicas, drop_remainder=True))


@tf.autograph.experimental.do_not_convert
def evaluation_batches(
    shards: ShardSet,
    *,
    image_size: int,
    batch_size: int,
    max_boxes: int = 0,
    match_resolution: int = 0,
    outlined_by: str = "",
    without_sources: Collection[int] = (),
) -> tf.data.Dataset:
    """Yields every record once, in stored order, with its name, patient code and label (`MISSING` in test shards).

    `{"image": uint8 [B, H, W, 3], "label": int32 [B], "patient_id": int64 [B], "image_name": string [B]}`; the last
    batch may be shorter. With `max_boxes` there are `"boxes"`, and if `outlined_by` something a `"mask"`, as in
    `Stream`; `match_resolution` is as in `training_batches`. Images of data sets with the codes `without_sources` are
    left out.
    """
    decode_image = _image_decoder([shards], image_size, match_resolution)
    records = tf.data.TFRecordDataset(list(shards.paths))
    records = records.filter(OUTLINES[outlined_by].is_in) if outlined_by else records
    records = records.filter(partial(_is_of_others, sorted(without_sources))) if without_sources else records

    def decode(record: tf.Tensor) -> dict[str, tf.Tensor]:
        example = _parse(record, max_boxes, outlined_by)
        masks = {"mask": OUTLINES[outlined_by].draw(example.pop(_OUTLINES), image_size)} if outlined_by else {}
        return {**example, "image": decode_image(example["image"]), **masks}

    decoded = records.map(decode, num_parallel_calls=num_cores(), deterministic=True)
    return _prefetched(decoded.batch(batch_size))


def _prefetched(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Returns batches, some of them prepared ahead, with the numbers of threads and batches as they are given.

    TensorFlow 2.21 would tune them in a thread that sleeps for up to a minute, and the end of a training would wait for
    it: cancelled, it is woken before it can see that it is.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(_BATCHES_AHEAD).with_options(options)


def _is_of_others(sources: Sequence[int], record: tf.Tensor) -> tf.Tensor:
    """Returns whether a record is of another data set than those with some codes."""
    feature = {SOURCE_FEATURE: tf.io.FixedLenFeature([], tf.int64, default_value=MISSING)}
    source = tf.io.parse_single_example(record, feature)[SOURCE_FEATURE]
    return tf.reduce_all(source != tf.constant(sources, tf.int64))


def _annotated(
    example: dict[str, tf.Tensor], streams: Sequence[Stream], stream: tf.Tensor, num_classes: int
) -> dict[str, tf.Tensor]:
    """Returns an example with its targets, and in place of what its record says what its stream knows of it."""
    found = example | {"targets": tf.one_hot(example["label"], num_classes), PATIENT_IMAGES: tf.constant(MISSING)}
    for number, each in enumerate(streams):
        if each.annotations is None:
            continue
        row, is_own = tf.maximum(each.annotations.find(example["image_name"]), 0), stream == number
        targets = tf.gather(tf.constant(each.annotations.targets, tf.float32), row)
        known = {"targets": targets, "label": tf.argmax(targets, output_type=tf.int32)}
        known |= {name: tf.gather(tf.constant(v, tf.int32), row) for name, v in each.annotations.metadata.items()}
        found |= {name: tf.where(is_own, value, found[name]) for name, value in known.items()}
    return found


def _without_hidden(
    example: dict[str, tf.Tensor], streams: Sequence[Stream], stream: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns an example with its stream, and with nothing that tells its class if that has no labels."""
    is_labelled = tf.gather(tf.constant([each.is_labelled for each in streams]), stream)
    telling = ("label", *(name for name in PROPERTIES if name not in TEST_METADATA))
    hidden = {name: tf.where(is_labelled, example[name], MISSING) for name in telling}
    hidden |= {"targets": tf.where(is_labelled, example["targets"], 0.0)}
    return example | hidden | {"is_labelled": is_labelled, "stream": tf.cast(stream, tf.int32)}


def _views(
    image: tf.Tensor,
    num_views: Sequence[int],
    stream: tf.Tensor,
    augment: Augment | None,
    seed: int,
    number: tf.Tensor,
) -> list[tf.Tensor]:
    """Returns an image in as many augmentations as the stream with the most views gives.

    The first view has the seed (seed, number of the image), the others are folded into it.
    """
    if augment is None:
        return [image] * max(num_views)
    first = tf.stack([tf.constant(seed, tf.int64), number])
    last = tf.gather(tf.constant(num_views, tf.int64), stream) - 1
    views = [tf.ensure_shape(augment(image, first), image.shape)]
    for view in range(1, max(num_views)):
        own = tf.random.experimental.stateless_fold_in(first, tf.minimum(tf.constant(view, tf.int64), last))
        repeated = tf.where(last > 0, own, first)
        views.append(tf.ensure_shape(augment(image, repeated), image.shape))
    return views


def _parse(record: tf.Tensor, max_boxes: int, outlined_by: str) -> dict[str, tf.Tensor]:
    """Reads the features that every command needs, from our shards or the public ones, with or without a target."""
    missing = tf.constant(MISSING, tf.int64)
    features = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "image_name": tf.io.FixedLenFeature([], tf.string, default_value=""),
    }
    for name in (PATIENT, "target", *PROPERTIES):
        features[name] = tf.io.FixedLenFeature([], tf.int64, default_value=missing)
    if outlined_by:
        outline = OUTLINES[outlined_by]
        features[outline.feature] = outline.specification
    if max_boxes:
        features[BOXES_FEATURE] = OUTLINES[BOXES].specification
    example = tf.io.parse_single_example(record, features)
    if outlined_by:
        example[_OUTLINES] = example[outline.feature]
    if max_boxes:
        example[BOXES_FEATURE] = _padded(example[BOXES_FEATURE], max_boxes)
    elif outlined_by == BOXES:
        del example[BOXES_FEATURE]
    example["label"] = example.pop("target")
    for name in ("label", *PROPERTIES):
        example[name] = tf.cast(example[name], tf.int32)
    return example


def _padded(boxes: tf.Tensor, max_boxes: int) -> tf.Tensor:
    """Returns the first boxes of `[M, 4]` as `[max_boxes, 4]`, with zeros where there are fewer."""
    boxes = boxes[:max_boxes]
    return tf.ensure_shape(tf.pad(boxes, [[0, max_boxes - tf.shape(boxes)[0]], [0, 0]]), (max_boxes, 4))


def _image_decoder(
    sets: Sequence[ShardSet], image_size: int, match_resolution: int
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns the function that decodes the images of some shards as uint8 `[image_size, image_size, 3]`."""
    shape, sizes = (image_size, image_size, 3), {shards.stored_size for shards in sets}
    stored_size = sizes.pop() if len(sizes) == 1 else 0
    if not match_resolution:
        return lambda data: tf.ensure_shape(_decode(data, stored_size, image_size), shape)
    quality = min(shards.quality for shards in sets)

    def decode_alike(data: tf.Tensor) -> tf.Tensor:
        image = _decode(data, stored_size, match_resolution)
        image = tf.io.decode_jpeg(tf.io.encode_jpeg(image, quality=quality, chroma_downsampling=False), channels=3)
        if image_size != match_resolution:
            image = _resized(image, image_size, "area" if image_size < match_resolution else "bicubic")
        return tf.ensure_shape(image, shape)

    return decode_alike


def _decode(data: tf.Tensor, stored_size: int, image_size: int) -> tf.Tensor:
    """Decodes at the smallest scale that leaves nothing to enlarge, and resizes by area what then has another size.

    A stored size of 0 stands for several.
    """
    if stored_size:
        scale = _decode_scale(stored_size, image_size)
        image = tf.io.decode_jpeg(data, channels=3, ratio=scale)
        return image if stored_size == image_size * scale else _resized(image, image_size)
    side = tf.reduce_min(tf.io.extract_jpeg_shape(data)[:2])
    number = tf.reduce_sum(tf.cast(side >= image_size * tf.constant(_DECODE_SCALES[1:]), tf.int32))
    decoders = [partial(tf.io.decode_jpeg, data, channels=3, ratio=scale) for scale in _DECODE_SCALES]
    image = tf.switch_case(number, decoders)
    is_of_size = tf.reduce_all(tf.shape(image)[:2] == image_size)
    return tf.cond(is_of_size, lambda: image, lambda: _resized(image, image_size))


def _resized(image: tf.Tensor, image_size: int, method: str = "area") -> tf.Tensor:
    resized = tf.image.resize(image, (image_size, image_size), method=method)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


def _decode_scale(stored_size: int, image_size: int) -> int:
    """Returns by how much JPEG decoding may shrink."""
    return max(scale for scale in _DECODE_SCALES if scale == 1 or stored_size >= scale * image_size)
