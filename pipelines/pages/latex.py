"""Tables of texts as LaTeX."""

from collections.abc import Sequence

import pandas as pd


def as_latex(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table, for the package booktabs, in which every text is shown to the letter."""
    table = pd.DataFrame([header, *rows]).to_latex(index=False, header=False, escape=True)
    top, rule, below = table.partition("\\midrule\n")
    first, end, others = below.partition("\n")
    return f"{top}{first}{end}{rule}{others}"
