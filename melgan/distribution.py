"""Strategies by name; STRATEGIES table."""

from collections.abc import Callable

import tensorflow as tf

from melgan.errors import ConfigError, look_up


def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        raise ConfigError(
            f"strategy is 'tpu', but no TPU was found ({error}); set TPU_NAME or choose another"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one_device": lambda: tf.distribute.OneDeviceStrategy(
        "/gpu:0" if tf.config.list_physical_devices("GPU") else "/cpu:0"
    ),
    "mirrored": lambda: tf.distribute.MirroredStrategy(
        [device.name.split("device:")[-1] for device in _replica_devices()]
    ),
    "multi_worker": tf.distribute.MultiWorkerMirroredStrategy,
    "tpu": _tpu,
}


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Returns a strategy; `multi_worker` reads the cluster from the environment variable TF_CONFIG.

    Raises:
      ConfigError: for an unknown name, or hardware that is not there.
    """
    return look_up(STRATEGIES, name, "strategy")()


def per_replica_batch_size(strategy: tf.distribute.Strategy, global_batch_size: int, field: str) -> int:
    """Returns a replica's share of the global batch.

    Raises:
      ConfigError: if the batch does not divide evenly.
    """
    replicas = strategy.num_replicas_in_sync
    if global_batch_size % replicas:
        raise ConfigError(
            f"{field} is {global_batch_size}; with {replicas} replicas it must be a multiple of {replicas}"
        )
    return global_batch_size // replicas


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process writes what only one may write."""
    resolver = strategy.cluster_resolver
    if resolver is None or not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return True
    return resolver.task_type in (None, "chief") or (
        resolver.task_type == "worker" and resolver.task_id == 0 and "chief" not in resolver.cluster_spec().jobs
    )


def compiles_gradients(xla: str, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether gradient functions are compiled: always if asked, by default where an accelerator is used.

    Raises:
      ConfigError: if asked with several replicas.
    """
    if xla == "on" and strategy.num_replicas_in_sync > 1:
        raise ConfigError("xla is 'on'; with several replicas, whose statistics must meet, use auto or off")
    if xla == "auto":
        return bool(tf.config.list_physical_devices("GPU")) and strategy.num_replicas_in_sync == 1
    return xla == "on"


def _replica_devices() -> list:
    return tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
