import keras
import numpy as np
import tensorflow as tf

from melgan.training.replica import dense_gradients


def test_adam_moves_an_embedding_of_repeated_labels_by_the_learning_rate():
    embedding = keras.layers.Embedding(3, 2, embeddings_initializer="zeros")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(embedding(tf.constant([0, 0, 2])) * [[1.0, 1.0], [2.0, -1.0], [-3.0, 1.0]])
    gradients = dense_gradients(tape, loss, embedding.trainable_variables)
    np.testing.assert_array_equal(gradients, [[[3, 0], [0, 0], [-3, 1]]])
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.apply(gradients, embedding.trainable_variables)
    np.testing.assert_allclose(embedding.embeddings, [[-0.1, 0], [0, 0], [0.1, -0.1]], atol=1e-6)
