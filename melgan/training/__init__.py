"""Training under a tf.distribute strategy, whatever the model: the loop, checkpoints, workers, precision."""
