"""The speed of a training, from the times that TensorBoard's files tell."""

from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from pipelines.artefacts.metrics_file import TENSORBOARD


def seconds_per_step(folder: Path, series: str) -> float | None:
    """Returns the duration of a step, between the first and the last line of metrics that the newest process wrote.

    Arguments:
      folder: of a training.
      series: of its lines, such as `gan` or `fold0`.

    Returns:
      None if it wrote fewer than two lines.
    """
    files = sorted((folder / TENSORBOARD / series).glob("events.out.tfevents.*"), key=lambda file: file.stat().st_mtime)
    if not files:
        return None
    lines = [event for event in EventFileLoader(str(files[-1])).Load() if event.HasField("summary")]
    if len({event.step for event in lines}) < 2:
        return None
    first, last = lines[0], lines[-1]
    return (last.wall_time - first.wall_time) / (last.step - first.step)
