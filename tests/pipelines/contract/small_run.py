"""A command that is not there: its config, with a setting of every kind, its report, and a run of it."""

from dataclasses import dataclass

from pipelines.contract.workdir import open_workdir
from tfrecords_tools.foundation.documents import stored
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.foundation.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class SmallConfig(Settings):
    shards: str = setting(help="a folder", is_path=True)
    steps: int = setting(10, "a number")
    rate: float | None = setting(None, "a rate")
    names: tuple[str, ...] = setting(("a",), "names")
    workers: int = setting(1, "how many", changes_result=False)
    init_from: str = setting("", "a run", is_path=True, formerly="resume_from")


CONFIG = SmallConfig(shards="/x")


@dataclass(frozen=True, kw_only=True)
class SmallReport:
    metric: float = stored("figure")


def begin(folder, config=CONFIG, command="test"):
    """Begins a run, which leaves some of its work."""
    with open_workdir(folder, command, config) as workdir:
        workdir.begin()
        write_atomically(folder / "work", "")
