"""A page of tables and pictures that needs nothing from outside."""

import math
from dataclasses import dataclass

import jinja2

from melgan.metrics.intervals import Interval
from pipelines.pages.charts import Chart
from tfrecords_tools.foundation.texts import in_one_line


@dataclass(frozen=True)
class Picture:
    """A chart, or the data URI of a grid, and what it shows in words."""

    image: Chart | str
    caption: str

    @property
    def uri(self) -> str:
        """The picture as a data URI."""
        return self.image if isinstance(self.image, str) else self.image.uri


@dataclass(frozen=True)
class Table:
    """A table of texts."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, a sentence, and tables and pictures in order."""

    title: str
    text: str
    items: tuple[Table | Picture, ...]


def render(title: str, sections: list[Section]) -> str:
    """Returns the page; every text is escaped, and none turns the direction of what is written after it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines.pages"),
        autoescape=True,
        finalize=lambda text: in_one_line(str(text)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(title=title, sections=sections)


def interval_text(interval: Interval, signed: bool = False) -> str:
    """Returns a value with its 95 % interval as text."""
    sign = "+" if signed else ""
    return f"{interval.value:{sign}.3f} ({interval.low:{sign}.3f} to {interval.high:{sign}.3f})"


def number_text(value: float) -> str:
    """Returns a number as text; a dash where it is not known."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def p_text(p_value: float) -> str:
    """Returns a p-value as text; a dash where it is not known."""
    return "< 0.001" if p_value < 0.001 else number_text(p_value)


def sentences(*texts: str) -> str:
    """Returns texts as one, without those that are empty."""
    return " ".join(text for text in texts if text)
