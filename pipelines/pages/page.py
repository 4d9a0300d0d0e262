"""A page of tables and pictures that needs nothing from outside, and no script."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import jinja2
from markupsafe import Markup

from melgan.metrics.intervals import Interval
from pipelines.pages.charts import Chart
from pipelines.pages.rasters import Raster
from tfrecords_tools.foundation.texts import in_one_line

_LONGEST_ANCHOR = 50  # letters


@dataclass(frozen=True)
class Picture:
    """A chart, or a grid of images, and what it shows in words."""

    image: Chart | Raster
    caption: str

    @property
    def is_chart(self) -> bool:
        """Whether it is drawn in ink on the ground of the page, and not made of images."""
        return isinstance(self.image, Chart)


@dataclass(frozen=True)
class Table:
    """A table of texts; the first cell of a row names it."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Details:
    """What a reader sees who opens it: a sentence, and tables and pictures."""

    title: str
    items: tuple[Table | Picture, ...]
    text: str = ""


Item: TypeAlias = Table | Picture | Details
Kind = TypeVar("Kind", Table, Picture)


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, a sentence, and tables and pictures in order."""

    title: str
    text: str
    items: tuple[Item, ...]

    def all(self, kind: type[Kind]) -> list[Kind]:
        """Returns its tables, or its pictures, in order, with those inside of details."""
        return [item for item in _flat(self.items) if isinstance(item, kind)]


def named(section: Section, name: str) -> Section:
    """Returns a section with the name of a run in its title, unless the title says it already."""
    is_said = name.lower() in section.title.lower().split()
    return section if is_said else replace(section, title=f"{section.title}: {name}")


def render(title: str, sections: Sequence[Section]) -> str:
    """Returns the page; every text is escaped, and none turns the direction of what is written after it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines.pages"),
        autoescape=True,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    anchored = list(zip(anchors([section.title for section in sections]), sections, strict=True))
    return environment.get_template("report.html").render(title=title, sections=anchored)


def anchors(titles: Sequence[str]) -> list[str]:
    """Returns what sections are called in addresses and files: letters a to z, digits and hyphens, no two alike."""
    found: list[str] = []
    for title in titles:
        plain, number = re.sub("[^a-z0-9]+", "-", title.lower())[:_LONGEST_ANCHOR].strip("-"), 1
        plain = plain or "section"
        while (anchor := plain if number == 1 else f"{plain}-{number}") in found:
            number += 1
        found.append(anchor)
    return found


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


def _shown(text: object) -> str:
    """Returns a text as it is shown; what the template has made of texts already stays as it is."""
    return text if isinstance(text, Markup) else in_one_line(str(text))


def _flat(items: Sequence[Item]) -> Iterator[Table | Picture]:
    for item in items:
        if isinstance(item, Details):
            yield from item.items
        else:
            yield item
