"""Tables of the contents of TFRecord files, as plain text."""

from collections.abc import Sequence

from tfrecords_tools.inspecting import MOST_DISTINCT, FeatureStats, Label, Span, Summary

_MOST_CLASSES = 40
_LONGEST_TEXT = 40


def feature_table(summary: Summary) -> list[str]:
    """Returns the lines of a table: feature, type, shape, records that have it, values."""
    rows = [("feature", "type", "shape", "records", "values")]
    rows += [
        (name, "|".join(sorted(stats.types)) or "-", shape(stats), f"{stats.records:,}", describe_values(stats))
        for name, stats in sorted(summary.features.items())
    ]
    if all(stats.records == summary.examples for stats in summary.features.values()):
        rows = [(*row[:3], *row[4:]) for row in rows]
    return align(rows, right=("records",))


def class_table(feature: str, stats: FeatureStats, classes: Sequence[str]) -> list[str]:
    """Returns the lines of a table: class, its name where `classes` has one, records, fraction of all."""
    if stats.overflowed:
        return [f"{feature}: more than {MOST_DISTINCT:,} different values, so these are no classes"]
    if "float" in stats.types or not stats.values:
        return [f"{feature}: {describe_values(stats) or 'no values'}; no classes to count"]
    total = sum(stats.values.values())
    shown = sorted(stats.values, key=lambda value: (str(type(value)), value))[:_MOST_CLASSES]
    rows = [
        (label_text(label, classes), f"{stats.values[label]:,}", f"{stats.values[label] / total:.1%}")
        for label in shown
    ]
    lines = align([(feature, "records", "fraction"), *rows], right=("records", "fraction"))
    rest = len(stats.values) - len(shown)
    return [*lines, f"... and {rest:,} more"] if rest else lines


def label_text(label: Label | None, classes: Sequence[str]) -> str:
    """Returns a class as shown: number and name, number alone, or its own text."""
    if label is None:
        return ""
    if isinstance(label, bytes):
        return label.decode(errors="replace")
    return f"{label} {classes[label]}" if 0 <= label < len(classes) else str(label)


def shape(stats: FeatureStats) -> str:
    """Returns `[]` for one value a record, `[N]` for N, `[1..7]` for a number that varies."""
    low, high = stats.lengths.low, stats.lengths.high
    if low != high:
        return f"[{low}..{high}]"
    return "[]" if low == 1 else f"[{low}]"


def describe_values(stats: FeatureStats) -> str:
    """Returns a few words on the values: images, text, or a span of numbers with how many are distinct."""
    if stats.formats:
        return _describe_images(stats)
    if stats.types == {"bytes"}:
        return _describe_bytes(stats)
    if stats.numbers.low is None:
        return f"{stats.not_finite:,} not finite" if stats.not_finite else ""
    finite = "" if not stats.not_finite else f", {stats.not_finite:,} not finite"
    return _number_span(stats.numbers) + (_distinct(stats) if stats.types == {"int64"} else "") + finite


def format_bytes(size: float) -> str:
    """Returns a size such as 812 bytes, 2.1 KB, 23 KB or 1.2 GB (powers of 1000)."""
    if size < 1000:
        return f"{size:.0f} bytes"
    for unit in ("KB", "MB", "GB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.1f} {unit}" if size < 9.95 else f"{size:.0f} {unit}"
    return f"{size / 1000:.1f} TB"


def align(rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """Returns rows in columns; the first row is the header, `right` names the columns that end together."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for cell, width, name in zip(row, widths, rows[0], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _describe_images(stats: FeatureStats) -> str:
    formats = "/".join(sorted({kind for kind, _ in stats.formats}))
    modes = "/".join(sorted({mode for _, mode in stats.formats}))
    least, most = (f"{stats.widths.low}x{stats.heights.low}", f"{stats.widths.high}x{stats.heights.high}")
    size = least if least == most else f"{least}..{most}"
    images = sum(stats.formats.values())
    some = "" if images >= stats.records else f" ({images:,} of {stats.records:,} are images)"
    return f"{formats} {size} {modes}, {_size_span(stats.sizes)}{some}"


def _describe_bytes(stats: FeatureStats) -> str:
    if not stats.is_text:
        return f"binary, {_size_span(stats.sizes)}" if stats.example else "empty"
    text = stats.example.decode(errors="ignore")
    quoted = repr(text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…")
    return quoted + _distinct(stats)


def _distinct(stats: FeatureStats) -> str:
    if stats.overflowed:
        long_text = stats.sizes.high is not None and len(stats.values) <= MOST_DISTINCT
        return f", {_size_span(stats.sizes)}" if long_text else f", more than {MOST_DISTINCT:,} distinct"
    if len(stats.values) > 1:
        return f", {len(stats.values):,} distinct"
    return " always" if stats.records > 1 else ""


def _size_span(sizes: Span) -> str:
    low, high = format_bytes(sizes.low), format_bytes(sizes.high)
    if low == high:
        return low
    number, unit = low.split()
    return f"{number}..{high}" if unit == high.split()[1] else f"{low}..{high}"


def _number_span(span: Span) -> str:
    low, high = (f"{number:.4g}" if isinstance(number, float) else str(number) for number in (span.low, span.high))
    return low if low == high else f"{low}..{high}"
