"""One contender of `benchmarks.image_metrics` in a process of its own: it computes all metrics of the arrays once.

    python -m benchmarks.metrics_contender NAME FOLDER

Prints a line of JSON: seconds (of the CPU and by the clock) without those of starting, importing and loading, the most
memory that it ever held, in MB, and the metrics. The folder holds features and reference `[N, F]` and logits `[N, K]`.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.measuring import peak_megabytes

ARRAYS = ("features", "reference", "logits")
SPLITS = 10
SUBSET_SIZE = 1000
NEAREST = 3  # of torch-fidelity

# features, reference, logits -> metrics by name
Compute = Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, float]]


def main(name: str, folder: Path) -> None:
    """Computes and prints."""
    arrays = [np.load(folder / f"{array}.npy") for array in ARRAYS]
    compute = CONTENDERS[name]()
    cpu, clock = time.process_time(), time.perf_counter()
    values = compute(*arrays)
    seconds = {"cpu_seconds": time.process_time() - cpu, "clock_seconds": time.perf_counter() - clock}
    sys.stdout.write(json.dumps(seconds | {"megabytes": peak_megabytes(), "values": values}) + "\n")


def ours() -> Compute:
    """Returns our metrics; KID is that of all pairs, in one pass over them with precision and recall."""
    import pipelines.contract.quiet_tensorflow  # noqa: F401

    from scipy.special import softmax

    from melgan.metrics.fid import frechet_distance
    from melgan.metrics.inception_score import inception_score
    from melgan.metrics.kid import distance_from
    from melgan.metrics.prdc import metrics_of
    from melgan.metrics.similarities import compare

    def compute(features: np.ndarray, reference: np.ndarray, logits: np.ndarray) -> dict[str, float]:
        similarities = compare(features, reference, nearest=NEAREST)
        neighbours = metrics_of(similarities.neighbourhoods, NEAREST)
        counts, reference_counts = np.array([len(features)]), np.array([len(reference)])
        return {
            "IS": float(inception_score(softmax(logits.astype(np.float64), axis=1), splits=SPLITS)),
            "FID": float(frechet_distance(features, reference)),
            "KID": float(distance_from(similarities, counts, reference_counts)),
            "precision": float(neighbours["precision"]),
            "recall": float(neighbours["recall"]),
        }

    return compute


def torch_fidelity() -> Compute:
    """Returns those of torch-fidelity with its defaults, and with smaller subsets for KID where images are few."""
    import torch
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, isc_features_to_metric
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric
    from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

    def compute(*arrays: np.ndarray) -> dict[str, float]:
        features, reference, logits = map(torch.from_numpy, arrays)
        statistics = [fid_features_to_statistics(vectors) for vectors in (features, reference)]
        subset_size = min(SUBSET_SIZE, len(features), len(reference))
        values = isc_features_to_metric(logits, splits=SPLITS)
        values |= fid_statistics_to_metric(*statistics, verbose=False)
        values |= kid_features_to_metric(features, reference, kid_subset_size=subset_size, verbose=False)
        values |= prc_features_to_metric(features, reference, verbose=False)
        return {
            "IS": values[KEY_METRIC_ISC_MEAN],
            "FID": values[KEY_METRIC_FID],
            "KID": values[KEY_METRIC_KID_MEAN],
            "precision": values[KEY_METRIC_PRECISION],
            "recall": values[KEY_METRIC_RECALL],
        }

    return compute


# Each imports its packages when it is called: PyTorch and TensorFlow never share a process.
CONTENDERS: dict[str, Callable[[], Compute]] = {"ours": ours, "torch-fidelity": torch_fidelity}


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
