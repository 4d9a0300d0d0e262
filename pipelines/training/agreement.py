"""What several workers must have in common before they train together."""

import json
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from melgan.training.distribution import require_agreement
from tfrecords_tools.foundation.settings import path_settings, result_settings


def require_same_work(strategy: tf.distribute.Strategy, config: Any, left: Sequence[object]) -> None:
    """Does nothing if all workers have the same settings, but for paths, and find the same left to do.

    Arguments:
      strategy: under which they train.
      config: the settings of this worker.
      left: what this worker finds left to do.

    Raises:
      ConfigError: on every worker, if not.
    """
    decisive = [name for name in result_settings(type(config)) if name not in path_settings(type(config))]
    settings = {name: getattr(config, name) for name in decisive}
    require_agreement(
        strategy,
        json.dumps([settings, list(left)], default=str),
        "give all of them the same settings, and a --workdir that they share",
    )
