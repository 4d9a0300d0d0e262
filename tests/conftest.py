"""Fixtures that the tests share, and the order in which they run: fast ones first."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real images and tables; tests that need it are skipped where it is not."""
    folder = os.environ.get("MELGAN_DATA")
    if not folder:
        pytest.skip("needs real data: set MELGAN_DATA to its folder")
    return Path(folder)


@pytest.fixture(scope="session")
def run_stage() -> Callable[..., subprocess.CompletedProcess]:
    """Runs a stage as a user does; settings are given as keywords."""

    def run(stage: str, **settings: object) -> subprocess.CompletedProcess:
        return subprocess.run(stage_command(stage, **settings), cwd=ROOT, capture_output=True, text=True, check=False)

    return run


def stage_command(stage: str, **settings: object) -> list[str]:
    """The command line of a stage."""
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", f"pipelines.{stage}", *flags]
