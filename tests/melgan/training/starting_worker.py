"""One of two workers; after they have met, the leader starts TensorFlow and the other one does not.

python tests/melgan/training/starting_worker.py
"""

import time

from melgan.training.cluster import cluster_from_environment
from melgan.training.distribution import make_strategy, require_same_on_workers, watched_workers

if __name__ == "__main__":
    with watched_workers("multi_worker", heartbeat_seconds=60):
        print("together", flush=True)
        if cluster_from_environment().place == 1:
            time.sleep(600)
        require_same_on_workers(make_strategy("multi_worker"), 0, "the step")
