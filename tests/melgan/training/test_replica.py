import keras
import numpy as np
import tensorflow as tf

from melgan.training.replica import current_replica, dense_gradients, part_of_mean


def test_adam_moves_an_embedding_of_repeated_labels_by_the_learning_rate():
    embedding = keras.layers.Embedding(3, 2, embeddings_initializer="zeros")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(embedding(tf.constant([0, 0, 2])) * [[1.0, 1.0], [2.0, -1.0], [-3.0, 1.0]])
    gradients = dense_gradients(tape, loss, embedding.trainable_variables)
    np.testing.assert_array_equal(gradients, [[[3, 0], [0, 0], [-3, 1]]])
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.apply(gradients, embedding.trainable_variables)
    np.testing.assert_allclose(embedding.embeddings, [[-0.1, 0], [0, 0], [0.1, -0.1]], atol=1e-6)


def test_parts_of_a_mean_add_up_to_it():
    values = tf.constant([1.0, 2.0, 3.0, 10.0, 20.0, 30.0])
    parts = [float(part_of_mean(values[:2], 6)), float(part_of_mean(values[2:], 6))]
    assert parts == [0.5, 10.5]
    assert sum(parts) == float(tf.reduce_mean(values))


def test_replicas_count_from_zero_inside_and_outside_of_them(one_device):
    assert current_replica() == 0
    assert int(one_device.run(lambda: tf.identity(current_replica()))) == 0
    with one_device.scope():
        assert current_replica() == 0
