r"""Draws arrays, and writes what torch-fidelity and prdc make of them, for `test_reference_packages.py`.

Run on a CPU with Python 3.11.7 as

    python3.11 -m venv fidelity
    fidelity/bin/pip install torch==2.13.0+cpu numpy==2.4.6 scikit-learn==1.9.1 requests==2.34.2 \
        torch-fidelity==0.4.0 prdc==0.2
    fidelity/bin/pip install --no-deps torchvision==0.16.2
    fidelity/bin/python tests/melgan/metrics/reference/make_reference.py

The torchvision that pip chooses from PyPI is built for CUDA and cannot be imported beside this torch; 0.16.2 can.
torch-fidelity imports it to read images, and uses nothing of it here.
"""

import importlib.metadata
import json
import platform
from pathlib import Path

import numpy as np
import prdc
import torch
from torch_fidelity import metric_fid, metric_isc, metric_kid, metric_prc

FOLDER = Path(__file__).parent
PACKAGES = ("torch-fidelity", "prdc", "torch", "torchvision", "numpy", "scikit-learn")


def main() -> None:
    arrays = draw()
    np.savez(FOLDER / "arrays.npz", **arrays)
    versions = {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}
    text = json.dumps({"versions": versions, "metrics": metrics(arrays)}, indent=2)
    (FOLDER / "expected.json").write_text(text + "\n", encoding="utf-8")


def draw() -> dict[str, np.ndarray]:
    """Features of two Gaussians with correlated columns, once fewer rows than columns; logits and their softmax."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(16, 16)) / 4
    fake_mixing = 0.9 * mixing + 0.08 * rng.normal(size=(16, 16))
    fake_mean = 0.5 + 0.3 * rng.normal(size=16)
    logits = 2 * rng.normal(size=(120, 10))
    powers = np.exp(logits)
    arrays = {
        "real": 0.5 + rng.normal(size=(150, 16)) @ mixing,
        "fake": fake_mean + rng.normal(size=(120, 16)) @ fake_mixing,
        "few_real": 0.5 + rng.normal(size=(12, 16)) @ mixing,
        "few_fake": fake_mean + rng.normal(size=(10, 16)) @ fake_mixing,
        "logits": logits,
        "probabilities": powers / powers.sum(axis=1, keepdims=True),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def metrics(arrays: dict[str, np.ndarray]) -> dict[str, dict]:
    """Returns what the packages compute, with the function and the settings that made it."""
    real, fake, few_real, few_fake, logits = (
        torch.from_numpy(arrays[name]) for name in ("real", "fake", "few_real", "few_fake", "logits")
    )
    fid, statistics = metric_fid.fid_statistics_to_metric, metric_fid.fid_features_to_statistics
    kid, isc = metric_kid.kid_features_to_metric, metric_isc.isc_features_to_metric
    prc, compute_prdc, quiet = metric_prc.prc_features_to_metric, prdc.compute_prdc, {"verbose": False}
    return {
        "frechet_distance": call(fid, "fake, real", statistics(fake), statistics(real), **quiet),
        "frechet_distance_of_few": call(fid, "few_fake, few_real", statistics(few_fake), statistics(few_real), **quiet),
        # One subset of all rows is the complete statistic, and needs as many real as fake rows.
        "kernel_distance": call(kid, "fake, real[:120]", fake, real[:120], kid_subsets=1, kid_subset_size=120, **quiet),
        "kernel_distance_of_subsets": call(kid, "fake, real", fake, real, kid_subsets=100, kid_subset_size=60, **quiet),
        "inception_score": call(isc, "logits", logits, splits=1, shuffle=False),
        "inception_score_of_splits": call(isc, "logits", logits, splits=10, shuffle=False),
        "precision_recall": call(prc, "fake, real", fake, real, prc_neighborhood=3, **quiet),
        "prdc": call(compute_prdc, "real, fake", arrays["real"], arrays["fake"], nearest_k=5),
    }


def call(function, names: str, *arguments, **settings) -> dict:
    return {
        "function": f"{function.__module__}.{function.__name__}",
        "arrays": names,
        "settings": settings,
        "values": {name: float(value) for name, value in function(*arguments, **settings).items()},
    }


if __name__ == "__main__":
    main()
