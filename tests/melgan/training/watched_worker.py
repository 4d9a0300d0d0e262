"""One worker of a run, without TensorFlow: meets the others, and then does what the lines of its input say.

python tests/melgan/training/watched_worker.py HEARTBEAT_SECONDS MEETING_SECONDS
"""

import os
import sys

from absl import logging

from melgan.training.cluster import cluster_from_environment
from melgan.training.meeting import meet
from melgan.training.peers import Peers
from tfrecords_tools.foundation.errors import ConfigError


def main(heartbeat_seconds, meeting_seconds):
    cluster = cluster_from_environment()
    peers = Peers(cluster, meet(cluster, seconds=float(meeting_seconds)), float(heartbeat_seconds))
    print("together", flush=True)
    for line in sys.stdin:
        if line == "leave\n":
            peers.leave()
            print("left", flush=True)
            return
        if line == "fail\n":
            peers.fail()
            os._exit(3)


if __name__ == "__main__":
    logging.use_absl_handler()
    logging.set_verbosity(logging.INFO)
    try:
        main(*sys.argv[1:])
    except ConfigError as error:
        print(f"error: {error}", flush=True)
        sys.exit(1)
