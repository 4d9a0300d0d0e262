"""The texts of a chart."""

import base64
from xml.etree import ElementTree

from pipelines.pages.charts import Chart


def chart_texts(chart: Chart) -> list[str]:
    """All texts of a chart, as a page holds it."""
    root = ElementTree.fromstring(base64.b64decode(chart.uri.removeprefix("data:image/svg+xml;base64,")))
    return ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
