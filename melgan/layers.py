"""What the networks share and Keras lacks."""

import keras
import tensorflow as tf


def batch_normalization(name: str, *, affine: bool = True, epsilon: float = 1e-3) -> keras.layers.BatchNormalization:
    """Returns batch normalisation whose statistics are those of the global batch under the current strategy.

    Unsynchronised, the replicas' statistics drift apart and only those of the first are saved.

    Arguments:
      name: of the layer.
      affine: whether it learns a factor and an offset for every channel.
      epsilon: added to the variance.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return keras.layers.BatchNormalization(
        center=affine, scale=affine, epsilon=epsilon, synchronized=replicas > 1, name=name
    )


class ConditionalBatchNormalization(keras.layers.Layer):
    """Batch normalisation with a factor and an offset for every channel of every class. Dumoulin et al. 2017, eq. 5.

    The moments are those of all classes together, over the global batch.
    """

    def __init__(self, num_classes: int, *, epsilon: float = 1e-3, name: str | None = None) -> None:
        super().__init__(name=name)
        self._num_classes = num_classes
        self.norm = batch_normalization("norm", affine=False, epsilon=epsilon)

    def build(self, inputs_shape: tuple, labels_shape: tuple) -> None:
        """Creates the moving statistics, and the tables, one row a class."""
        del labels_shape
        channels = inputs_shape[-1]
        self.norm.build(inputs_shape)
        self.factors = keras.layers.Embedding(self._num_classes, channels, "ones", name="factors")
        self.offsets = keras.layers.Embedding(self._num_classes, channels, "zeros", name="offsets")
        self.factors.build((self._num_classes,))
        self.offsets.build((self._num_classes,))

    def call(self, inputs: tf.Tensor, labels: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns features of the shape of the inputs `[N, H, W, C]`, whose classes are the labels `[N]`."""
        factors, offsets = self.factors(labels), self.offsets(labels)
        return self.norm(inputs, training=training) * factors[:, None, None] + offsets[:, None, None]


def scaled_filters(filters: int, width: float) -> int:
    """Returns a number of filters scaled by `width`, at least 4."""
    return max(4, round(filters * width))


class LeakyReLU(keras.layers.Layer):
    """x where it is positive, elsewhere `slope` (greater than 0) times x; of any shape. Maas et al. 2013.

    Equal to `keras.layers.LeakyReLU` with less work. Its second derivative is zero and is not there: TensorFlow's is
    a tensor of zeros, which a gradient penalty carries back through every convolution. And it remembers its outputs,
    of the same sign as the inputs, which need not be kept then.
    """

    def __init__(self, slope: float, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._slope = slope

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the activations, of the shape of the inputs."""

        @tf.custom_gradient
        def activate(inputs: tf.Tensor) -> tuple:
            outputs = tf.nn.leaky_relu(inputs, self._slope)
            signs = tf.stop_gradient(outputs)

            def gradient(upstream: tf.Tensor) -> tf.Tensor:
                return tf.raw_ops.LeakyReluGrad(gradients=upstream, features=signs, alpha=self._slope)

            return outputs, gradient

        return activate(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Returns the shape of the inputs."""
        return input_shape


class PerLabel(keras.layers.Layer):
    """What an embedding, a dense layer and an activation make of the labels, computed once for every class.

    Equal to the three in a row on every example, and less work where a batch has more examples than there are classes.

    Arguments:
      embedding, dense, activation: the layers; each is an attribute, or checkpoints would not hold its weights.
    """

    def __init__(
        self,
        embedding: keras.layers.Embedding,
        dense: keras.layers.Dense,
        activation: keras.layers.Layer,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.embedding, self.dense, self.activation = embedding, dense, activation

    def build(self, input_shape: tuple) -> None:
        """Creates the weights of the layers."""
        del input_shape
        num_classes = self.embedding.input_dim
        self.embedding.build((num_classes,))
        self.dense.build((num_classes, self.embedding.output_dim))

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the outputs `[N, C]` for labels `[N]`."""
        table = self.activation(self.dense(self.embedding(tf.range(self.embedding.input_dim))))
        return tf.gather(table, labels)


class TwoLinear(keras.layers.Layer):
    """Two dense layers with nothing between them, as one: x (A B) + (a B + b) instead of (x A + a) B + b.

    Pays where the second has fewer units than the first. Both kernels stay, and learn as they would apart.

    Arguments:
      first: maps inputs `[N, C]` to `[N, hidden units]`.
      second: maps those to `[N, units]`.
    """

    def __init__(self, first: keras.layers.Dense, second: keras.layers.Dense, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.first, self.second = first, second

    def build(self, input_shape: tuple) -> None:
        """Creates the weights of both layers."""
        self.first.build(input_shape)
        self.second.build((*input_shape[:-1], self.first.units))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns `[N, units]` for inputs `[N, C]`."""
        kernel = tf.matmul(self.first.kernel, self.second.kernel)
        bias = self.second(self.first.bias[tf.newaxis])
        return tf.matmul(inputs, kernel) + bias
