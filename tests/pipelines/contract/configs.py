"""The commands, and their configs: found, so that none is forgotten."""

import importlib
import pkgutil
from dataclasses import is_dataclass

import pipelines
import pipelines.artefacts
from tfrecords_tools.foundation.settings import Settings


def _configs_of(package) -> dict[str, type]:
    """The configs that the modules of a package define or use, by name."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if not module.ispkg:
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, type) and issubclass(value, Settings) and is_dataclass(value):
                    found[name] = value
    return found


CONFIGS = _configs_of(pipelines) | _configs_of(pipelines.artefacts)
COMMANDS = {
    module.name: CONFIGS[f"{module.name.title().replace('_', '')}Config"]
    for module in pkgutil.iter_modules(pipelines.__path__)
    if not module.ispkg
}
# Command -> the setting that names its folder.
FOLDERS = {
    "make_shards": "output",
    "train_gan": "workdir",
    "train_translator": "workdir",
    "train_singan": "workdir",
    "train_classifier": "workdir",
    "synthesize": "output",
    "adopt_synthetic": "output",
    "evaluate_gan": "output",
    "make_submission": "output",
    "predict": "output",
    "export": "output",
    "report": "output",
    "study": "workdir",
}
