"""Settings of every training of one generator on shards, whatever it is conditioned on."""

from dataclasses import dataclass

from pipelines.contract.shared_settings import CacheSettings, DeviceSettings, RollbackSettings, ScratchSettings
from pipelines.contract.strategy_settings import StrategySettings
from tfrecords_tools.foundation.errors import CommandError
from tfrecords_tools.foundation.settings import require, setting


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings(RollbackSettings, CacheSettings, DeviceSettings, ScratchSettings, StrategySettings):
    """The images, less those of a fold, which a classifier may then be validated on; checkpoints; and the machine."""

    num_folds: int = setting(0, "folds of whole shards; 0: train on all shards")
    fold: int = setting(0, "fold that is held out, with --num_folds")
    checkpoint_every: int = setting(1000, "steps between checkpoints and sample grids", changes_result=False)
    log_every: int = setting(50, "steps between lines of metrics", changes_result=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("checkpoint_every", "log_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        if self.fold and not self.num_folds:
            raise CommandError(
                f"--fold={self.fold} without --num_folds: all shards would be trained on; give --num_folds as well"
            )
