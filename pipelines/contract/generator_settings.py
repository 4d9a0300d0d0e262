"""Settings of every training of one generator on shards, whatever it is conditioned on."""

from dataclasses import dataclass

from pipelines.contract.shared_settings import (
    CacheSettings,
    DeviceSettings,
    FoldSettings,
    RollbackSettings,
    ScratchSettings,
    TrackerSettings,
)
from pipelines.contract.strategy_settings import StrategySettings
from tfrecords_tools.foundation.settings import require, setting


@dataclass(frozen=True, kw_only=True)
class GeneratorSettings(
    FoldSettings, RollbackSettings, CacheSettings, DeviceSettings, ScratchSettings, StrategySettings, TrackerSettings
):
    """The images, less those of a fold, which a classifier may then be validated on; checkpoints; and the machine."""

    checkpoint_every: int = setting(1000, "steps between checkpoints and sample grids", changes_result=False)
    log_every: int = setting(50, "steps between lines of metrics", changes_result=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("checkpoint_every", "log_every"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
