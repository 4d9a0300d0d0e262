"""A config of a command that is not there, with a setting of every kind."""

from dataclasses import dataclass

from tfrecords_tools.foundation.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class SmallConfig(Settings):
    shards: str = setting(help="a folder", is_path=True)
    steps: int = setting(10, "a number")
    rate: float | None = setting(None, "a rate")
    names: tuple[str, ...] = setting(("a",), "names")
    workers: int = setting(1, "how many", changes_result=False)
    init_from: str = setting("", "a run", is_path=True, formerly="resume_from")
