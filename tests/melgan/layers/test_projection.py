import numpy as np
from keras import layers

from melgan.layers.projection import projection_head

FEATURES = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 0.25]], np.float32)
LABELS = np.array([1, 0, 1])
EMBEDDINGS = np.array([[1.0, -1.0], [0.0, 2.0]], np.float32)


def head_of(linear=None):
    embedding = layers.Embedding(2, 2)
    head = projection_head(2, embedding, linear)
    embedding.set_weights([EMBEDDINGS])
    return head


def test_logits_are_features_times_the_row_of_their_class():
    logits = head_of()([FEATURES, LABELS])
    assert logits.shape == (3,)
    np.testing.assert_allclose(logits, [4, 4, 0.5])  # 1 * 0 + 2 * 2; 3 * 1 + 1 * 1; 0.25 * 2


def test_a_linear_function_of_the_features_is_added_whatever_the_class():
    linear = layers.Dense(1)
    head = head_of(linear)
    linear.set_weights([np.array([[10.0], [1.0]]), np.array([100.0])])
    np.testing.assert_allclose(head([FEATURES, LABELS]), [4 + 112, 4 + 129, 0.5 + 105.25])
