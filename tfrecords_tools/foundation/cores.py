"""How many cores of this machine a process may use."""

import os


def num_cores() -> int:
    """Returns the number of cores that this process may run on, where the system tells, or else of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
