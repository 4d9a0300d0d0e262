"""The floor of a program's time: what its convolutions and matrix products must compute and move.

Each takes at least its arithmetic over the rate of the card, and at least its bytes (each input read once, the output
written once) over the bandwidth; the larger of the two counts, and the floors add up (Williams et al. 2009). All
between them is taken to be fused into them, and to cost nothing.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class Work:
    """The work of one operation: floating-point operations, and numbers that it reads and writes."""

    flops: float
    numbers: float


def floor_seconds(works: Sequence[Work], *, flops_per_second: float, bytes_per_second: float, bytes_each: int) -> float:
    """Returns the least time that operations take one after the other.

    Arguments:
      works: from `works_of`.
      flops_per_second: of the card in this precision.
      bytes_per_second: between the card and its memory.
      bytes_each: of a number in this precision.
    """
    return sum(max(work.flops / flops_per_second, work.numbers * bytes_each / bytes_per_second) for work in works)


def works_of(graph: tf.Graph) -> list[Work]:
    """Returns the convolutions and products of a traced function, of static shapes, and of all functions that it calls.

    Of a condition both branches count, and the body of a loop counts once.
    """
    return list(_works(graph))


def _works(graph: tf.Graph) -> Iterator[Work]:
    for operation in graph.get_operations():
        if operation.type in _FLOPS:
            numbers = sum(map(_size, (*operation.inputs, *operation.outputs)))
            yield Work(_FLOPS[operation.type](operation), numbers)
        for attribute in operation.node_def.attr.values():
            if attribute.HasField("func"):
                yield from _works(graph._get_function(attribute.func.name).graph)


def _size(tensor: tf.Tensor) -> int:
    return math.prod(tensor.shape.as_list())


def _product(operation: tf.Operation) -> float:
    """Twice the size of the output times the length of the sums."""
    left, out = operation.inputs[0], operation.outputs[0]
    rows = left.shape[0] if operation.get_attr("transpose_a") else left.shape[1]
    return 2.0 * _size(out) * rows


def _batch_product(operation: tf.Operation) -> float:
    left, out = operation.inputs[0], operation.outputs[0]
    length = left.shape[-2] if operation.get_attr("adj_x") else left.shape[-1]
    return 2.0 * _size(out) * length


def _convolution(images: Callable, kernel: Callable) -> Callable[[tf.Operation], float]:
    """Twice the places of the kernel on the smaller images, times its weights: for the output and both gradients.

    `images` gives the smaller images of an operation `[N, H, W, C]`, `kernel` its kernel `[h, w, in, out]`.
    """
    return lambda operation: 2.0 * math.prod(images(operation).shape[:3]) * math.prod(kernel(operation).shape)


_FLOPS: dict[str, Callable[[tf.Operation], float]] = {
    "MatMul": _product,
    "BatchMatMulV2": _batch_product,
    "Conv2D": _convolution(lambda operation: operation.outputs[0], lambda operation: operation.inputs[1]),
    "Conv2DBackpropInput": _convolution(lambda operation: operation.inputs[2], lambda operation: operation.inputs[1]),
    "Conv2DBackpropFilter": _convolution(lambda operation: operation.inputs[2], lambda operation: operation.outputs[0]),
}
