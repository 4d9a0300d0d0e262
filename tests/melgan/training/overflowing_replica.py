"""A step in float16 on two replicas, of which one alone sees an overflow; a script, as devices are set at start-up."""

import json
import sys

import keras
import tensorflow as tf

from melgan.training.distribution import make_strategy
from melgan.training.precision import apply_gradients, make_adam


def main() -> None:
    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    strategy = make_strategy("mirrored")
    with strategy.scope():
        variable = keras.Variable([1.0, 2.0])
        optimizer = make_adam(0.1, 0.5, 0.9, precision="float16", variables=[variable])

    @tf.function
    def step(gradient_of_second: tf.Tensor) -> tuple:
        def replica_step() -> tuple:
            second = tf.distribute.get_replica_context().replica_id_in_sync_group == 1
            gradient = tf.where(second, gradient_of_second, 1.0) * optimizer.dynamic_scale.value * tf.ones(2)
            return apply_gradients(optimizer, [gradient], [variable])

        return strategy.run(replica_step)

    def facts(gradient: float) -> dict:
        applied = step(tf.constant(gradient))
        return {
            "squared_norms": [float(value) for value in applied.squared_norm.values],
            "skipped": [float(value) for value in applied.skipped.values],
            "weights": [copy.numpy().tolist() for copy in variable.value.values],
            "steps_taken": int(tf.convert_to_tensor(optimizer.inner_optimizer.iterations)),
            "scale": float(tf.convert_to_tensor(optimizer.dynamic_scale)),
        }

    sys.stdout.write(json.dumps([facts(float("inf")), facts(1.0)]))


if __name__ == "__main__":
    main()
