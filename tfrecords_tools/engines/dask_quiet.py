"""Dask without a word: it tells a failure with tracebacks of its own, in several processes, beside our one line.

Also a preload of its workers: they call `dask_setup` when they start.
"""

import logging
import os
import sys

SILENT = logging.CRITICAL + 1

_LOGGERS = ("distributed", "tornado", "asyncio")


def silence() -> None:
    """Silences the loggers of Dask in this process; those that it has not made yet have no level of their own."""
    known = [name for name in logging.root.manager.loggerDict if name.partition(".")[0] in _LOGGERS]
    for name in [*_LOGGERS, *known]:
        logging.getLogger(name).setLevel(SILENT)


def dask_setup(_worker: object) -> None:
    """Silences a worker of this machine; what ends it is told by the process that waits for it."""
    silence()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115  as long as the process
