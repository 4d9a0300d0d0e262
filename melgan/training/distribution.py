"""Strategies by name; STRATEGIES table; and what the workers of a multi-worker run agree on."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended
from tensorflow.python.eager import context

from melgan.training.cluster import cluster_from_environment
from melgan.training.meeting import meet
from melgan.training.peers import Peers
from tfrecords_tools.foundation.errors import ConfigError, Preempted, look_up

_SIGNS_OF_A_LOST_WORKER = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)


def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect()
    except (ValueError, tf.errors.OpError) as error:
        raise ConfigError(
            f"strategy is 'tpu', but no TPU was found ({error}); set TPU_NAME or choose another"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def _multi_worker() -> tf.distribute.Strategy:
    """Returns the strategy without TensorFlow's own watch over the workers, for which `watched_workers` stands in.

    Its coordination service waits for absent workers without an end, while nothing else in the process can run, not
    even the handler of a signal; and it takes SIGTERM for itself. The older health check stops everything likewise.
    """
    cluster_from_environment()
    context.context().configure_coordination_service(service_type="")
    CollectiveAllReduceExtended._enable_check_health = False
    return tf.distribute.MultiWorkerMirroredStrategy()


STRATEGIES: dict[str, Callable[[], tf.distribute.Strategy]] = {
    "one_device": lambda: tf.distribute.OneDeviceStrategy(
        "/gpu:0" if tf.config.list_physical_devices("GPU") else "/cpu:0"
    ),
    "mirrored": lambda: tf.distribute.MirroredStrategy(
        [device.name.split("device:")[-1] for device in _replica_devices()]
    ),
    "multi_worker": _multi_worker,
    "tpu": _tpu,
}


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Returns a strategy; `multi_worker` reads the cluster from the environment variable TF_CONFIG.

    Raises:
      ConfigError: for an unknown name, or hardware that is not there.
    """
    return look_up(STRATEGIES, name, "strategy")()


@contextlib.contextmanager
def watched_workers(name: str, heartbeat_seconds: float) -> Iterator[None]:
    """Waits for the workers of TF_CONFIG, and ends this process with one line if one is lost while the body runs.

    The strategy must be made in the body. A process that reaches the end of the body, or `Preempted`, waits there for
    the others. Nothing happens for other strategies than `multi_worker`.

    Arguments:
      name: of the strategy.
      heartbeat_seconds: how long a worker may be silent.

    Raises:
      ConfigError: for a TF_CONFIG that cannot be right, a port in use, or workers that do not come.
    """
    if name != "multi_worker":
        yield
        return
    cluster = cluster_from_environment()
    peers = Peers(cluster, meet(cluster), heartbeat_seconds)
    try:
        yield
    except Preempted:
        peers.leave()
        raise
    except BaseException as error:
        if isinstance(error, _SIGNS_OF_A_LOST_WORKER):
            peers.wait_for_verdict()
        peers.fail()
        raise
    peers.leave()


def on_any_worker(strategy: tf.distribute.Strategy, ask: Callable[[], bool]) -> Callable[[], bool]:
    """Returns a question whose answer is yes on all workers if it is yes on any; all must ask it equally often."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return ask
    exchange = _exchange(strategy)
    return lambda: any(exchange(int(ask())))


def require_same_on_workers(strategy: tf.distribute.Strategy, value: int, meaning: str) -> None:
    """Compares a number among the workers; all must call this.

    Raises:
      ConfigError: on every worker, if they differ; the usual reason is a folder that they do not share.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    values = _exchange(strategy)(value)
    if len(set(values)) > 1:
        raise ConfigError(f"{meaning} is {values} on the workers; give all of them the same, shared folder")


def require_agreement(strategy: tf.distribute.Strategy, text: str, remedy: str) -> None:
    """Compares a text among the workers; all must call this.

    Raises:
      ConfigError: on every worker, if they differ; the message ends with the remedy.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    number = int(hashlib.sha256(text.encode()).hexdigest()[:15], 16)  # fits an int64
    if len(set(_exchange(strategy)(number))) > 1:
        raise ConfigError(f"the workers do not do the same; {remedy}")


def _exchange(strategy: tf.distribute.Strategy) -> Callable[[int], list[int]]:
    """Returns a function from a number of this worker to the numbers of all replicas."""
    replicas = strategy.num_replicas_in_sync

    def in_own_place(value: tf.Tensor) -> tf.Tensor:
        place = tf.distribute.get_replica_context().replica_id_in_sync_group
        return value * tf.one_hot(place, replicas, dtype=value.dtype)

    @tf.function(autograph=False)
    def exchange(value: tf.Tensor) -> tf.Tensor:
        return strategy.reduce("SUM", strategy.run(in_own_place, args=(value,)), axis=None)

    return lambda value: exchange(tf.constant(value, tf.int64)).numpy().tolist()


def per_replica_batch_size(strategy: tf.distribute.Strategy, global_batch_size: int, field: str) -> int:
    """Returns how many images of the global batch a replica has.

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


def own_folder(strategy: tf.distribute.Strategy) -> str:
    """Returns the folder, in that of a run, for what only this process reads; empty for the chief, whose is all."""
    return "" if is_chief(strategy) else f"worker_{strategy.cluster_resolver.task_id}"


def _replica_devices() -> list:
    return tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
