"""The charts of a page as files, for a paper."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.pages.charts import FIGURE_FORMATS, Chart
from pipelines.pages.page import Picture, Section
from tfrecords_tools.foundation.files import write_atomically
from tfrecords_tools.foundation.texts import as_file_name


def write_figures(folder: Path, sections: Sequence[Section]) -> list[str]:
    """Writes every chart of some sections as SVG and PDF, named by its section; returns the names of the files."""
    folder.mkdir(exist_ok=True)
    written = []
    for name, chart in _named_charts(sections):
        for kind in FIGURE_FORMATS:
            write_atomically(folder / f"{name}.{kind}", chart.file(kind))
            written.append(f"{name}.{kind}")
    return written


def _named_charts(sections: Sequence[Section]) -> Iterator[tuple[str, Chart]]:
    known: set[str] = set()
    for section in sections:
        charts = [item.image for item in section.items if isinstance(item, Picture) and isinstance(item.image, Chart)]
        for chart in charts:
            title, number = as_file_name(section.title).lower(), 1
            while (name := title if number == 1 else f"{title}_{number}") in known:
                number += 1
            known.add(name)
            yield name, chart
