"""Settings of how a training is spread over devices and workers, which trainings of every kind have."""

from dataclasses import dataclass

from melgan.training.distribution import STRATEGIES
from tfrecords_tools.foundation.settings import Settings, require, setting


@dataclass(frozen=True, kw_only=True)
class StrategySettings(Settings):
    """The strategy, and the patience of several workers with each other."""

    strategy: str = setting("one_device", "how to distribute", choices=tuple(STRATEGIES))
    heartbeat_seconds: int = setting(
        30, "with several workers: who is silent for so long is lost, and all end", changes_result=False
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.heartbeat_seconds >= 10, "heartbeat_seconds", self.heartbeat_seconds, "at least 10")
