"""The balance of shards: a table to print and to keep in the manifest."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

SHARD, WHOLE, WORST = "shard", "all", "worst %"
_DISTANCE = "images KS %"
# Amounts are compared with an even part of the whole; everything else with the whole's own value.
_AMOUNTS = ("rows", "class", "source", "patients")


def balance_table(
    groups: np.ndarray,
    targets: np.ndarray,
    shards: np.ndarray,
    classes: Sequence[str],
    *,
    sources: np.ndarray | None = None,
    source_names: Sequence[str] = (),
) -> pd.DataFrame:
    """Returns one line a shard and a last one, `all`, for the whole; `to_dict("records")` makes it fit for JSON.

    Its columns: `shard`; `rows`; `class NAME`, rows of each class; `percent NAME`, the percentage of the rarest class;
    `source NAME`, rows of each data set if there are several; `patients`, the groups; and of the images per patient
    `images median`, `images 90%` (the 90th percentile), `images largest` and `images KS %`, the Kolmogorov-Smirnov
    distance between the shard's distribution and the whole's: the largest difference of the two fractions of patients
    with at most n images, over all n.

    Arguments:
      groups: group code of every row `[N]`, from 0 without gaps; every group in one shard.
      targets: class index of every row `[N]`.
      shards: shard of every row `[N]`, from 0 without gaps.
      classes: names of the classes.
      sources: index into `source_names` of every row `[N]`.
      source_names: names of the data sets.
    """
    class_counts = _count(shards, targets, len(classes))
    rarest = min((count, code) for code, count in enumerate(class_counts[-1]) if count)[1]
    rows = class_counts.sum(axis=1)
    columns = {SHARD: [*range(len(rows) - 1), WHOLE], "rows": rows}
    columns |= {f"class {name}": class_counts[:, code] for code, name in enumerate(classes)}
    columns[f"percent {classes[rarest]}"] = np.round(100 * class_counts[:, rarest] / rows, 4)
    if sources is not None and len(source_names) > 1:
        source_counts = _count(shards, sources, len(source_names))
        columns |= {f"source {name}": source_counts[:, code] for code, name in enumerate(source_names)}
    return pd.DataFrame(columns | _images_per_patient(groups, shards))


def worst_deviations(table: pd.DataFrame) -> pd.Series:
    """Returns the largest deviation of any shard in percent, for every column of a `balance_table` but `shard`.

    Amounts are compared with their mean over the shards, the other columns with the whole; of the Kolmogorov-Smirnov
    distance, which is a deviation itself, it is the largest.
    """
    values = table.drop(columns=SHARD).astype(float)
    shards, expected = values.iloc[:-1], values.iloc[-1].copy()
    amounts = [name for name in values if name.split()[0] in _AMOUNTS]
    expected[amounts] /= len(shards)
    largest = (shards - expected).abs().max()
    relative = 100 * largest / expected.where(expected != 0, 1)
    relative[_DISTANCE] = largest[_DISTANCE]
    return relative


def format_balance(table: pd.DataFrame) -> str:
    """Returns a `balance_table` as aligned lines of text; the last has the worst deviations in percent."""
    worst = worst_deviations(table)
    cells = []
    for name in table:
        top, _, bottom = name.partition(" ")
        column = [top, bottom, *(_show(value) for value in table[name])]
        column.append(WORST if name == SHARD else f"{worst[name]:.2f}")
        width = max(map(len, column))
        cells.append([text.rjust(width) for text in column])
    lines = ["  ".join(line).rstrip() for line in zip(*cells, strict=True)]
    rule = "-" * max(map(len, lines))
    return "\n".join([*lines[:2], rule, *lines[2:-2], rule, *lines[-2:]])


def _count(shards: np.ndarray, codes: np.ndarray, num_codes: int) -> np.ndarray:
    """Returns the rows of each code in each shard, and in all as the last line, `[shards + 1, codes]`."""
    num_shards = int(shards.max()) + 1
    counts = np.bincount(shards * num_codes + codes, minlength=num_shards * num_codes).reshape(num_shards, num_codes)
    return np.concatenate([counts, counts.sum(axis=0, keepdims=True)])


def _images_per_patient(groups: np.ndarray, shards: np.ndarray) -> dict[str, list]:
    sizes = np.bincount(groups)
    shard_of_group = np.empty(len(sizes), dtype=np.int64)
    shard_of_group[groups] = shards
    samples = [sizes[shard_of_group == shard] for shard in range(int(shards.max()) + 1)] + [sizes]
    whole = _cumulative(sizes, sizes.max())
    return {
        "patients": [len(sample) for sample in samples],
        "images median": [float(np.median(sample)) for sample in samples],
        "images 90%": [round(float(np.percentile(sample, 90)), 1) for sample in samples],
        "images largest": [int(sample.max()) for sample in samples],
        _DISTANCE: [round(100 * float(abs(_cumulative(s, sizes.max()) - whole).max()), 2) for s in samples],
    }


def _cumulative(sizes: np.ndarray, largest: int) -> np.ndarray:
    """Returns the fraction of sizes that are at most 0, 1, ... largest."""
    return np.cumsum(np.bincount(sizes, minlength=largest + 1)) / len(sizes)


def _show(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
