"""The workers of a SLURM step as a TF_CONFIG, from the variables that srun gives each of its tasks.

TensorFlow's SlurmClusterResolver gives ranks to hosts sorted as text, which is not srun's order for n2 and n10, and
needs GPUs.
"""

import itertools
import re
from collections.abc import Iterator, Mapping

from tfrecords_tools.foundation.errors import ConfigError

_FIRST_PORT, _JOBS, _PORTS_OF_JOB = 20000, 750, 16  # ends below the ports that Linux hands out, from 32768 on
_NODES, _TASKS, _RANK = "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE", "SLURM_PROCID"
_JOB, _STEP, _OWN_NODE = "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURMD_NODENAME"


def is_job(environment: Mapping[str, str]) -> bool:
    """Returns whether environment variables are those of a SLURM job."""
    return _JOB in environment


def tf_config_of_step(environment: Mapping[str, str]) -> dict:
    """Returns the TF_CONFIG of a task that srun started: a worker for each task, in the order of their ranks.

    The tasks of a node have ports of their own, and jobs that share a node have others. `secret` tells steps apart; it
    is not secret.

    Arguments:
      environment: variables of the task by name.

    Raises:
      ConfigError: if the process was not started by srun, a variable cannot be right, or tasks are not dealt out to
        nodes block by block.
    """
    names, counts = expand_nodes(_value(environment, _NODES)), _tasks_per_node(_value(environment, _TASKS))
    if len(names) != len(counts):
        raise ConfigError(f"{_NODES} lists {len(names)} nodes, {_TASKS} {len(counts)}; they must be of one step")
    job, step = _number(environment, _JOB), _number(environment, _STEP)
    first = _FIRST_PORT + (job + step) % _JOBS * _PORTS_OF_JOB
    tasks = [(name, first + place) for name, count in zip(names, counts, strict=True) for place in range(count)]
    rank = _number(environment, _RANK)
    if rank >= len(tasks):
        raise ConfigError(f"{_RANK} is {rank}; {_NODES} and {_TASKS} tell of {len(tasks)} tasks, 0 to {len(tasks) - 1}")
    own = environment.get(_OWN_NODE, tasks[rank][0])
    if own != tasks[rank][0]:
        raise ConfigError(
            f"{_RANK} {rank} is on {own}, and would be on {tasks[rank][0]} if nodes were filled one after the other; "
            "give srun --distribution=block"
        )
    return {
        "cluster": {"worker": [f"{name}:{port}" for name, port in tasks]},
        "task": {"type": "worker", "index": rank},
        "secret": f"SLURM step {job}.{step}",
    }


def expand_nodes(text: str) -> list[str]:
    """Returns the names of nodes that SLURM writes in short, in its order: `n[08-10],login` has four.

    Raises:
      ConfigError: if that is no list of nodes.
    """
    pattern = r"(?:[^\[\],\s]|\[[0-9,-]+\])+"
    if not re.fullmatch(rf"{pattern}(?:,{pattern})*", text):
        raise ConfigError(f"{_NODES} is {text!r}; it must be a list such as n[01-03,07],login")
    names = []
    for word in re.findall(pattern, text):
        # Every second part stands in brackets.
        parts = [list(_numbers(part)) if place % 2 else [part] for place, part in enumerate(re.split(r"[\[\]]", word))]
        names += map("".join, itertools.product(*parts))
    return names


def _numbers(text: str) -> Iterator[str]:
    """Yields the numbers of `01-03,07`, each as wide as the first of its range."""
    for part in text.split(","):
        ends = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part)
        if not ends:
            raise ConfigError(f"{_NODES} has [{text}]; it must be numbers and ranges such as 01-03,07")
        first, last = ends[1], ends[2] or ends[1]
        yield from (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))


def _tasks_per_node(text: str) -> list[int]:
    """Returns the tasks of each node: `2(x3),1` is 2, 2, 2, 1."""
    counts = []
    for part in text.split(","):
        count = re.fullmatch(r"([0-9]+)(?:\(x([0-9]+)\))?", part)
        if not count:
            raise ConfigError(f"{_TASKS} is {text!r}; it must be a list such as 2(x3),1")
        counts += [int(count[1])] * int(count[2] or 1)
    return counts


def _value(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise ConfigError(
            f"strategy is 'multi_worker' in a SLURM job, but {name} is not set; start the command by srun"
        )
    return environment[name]


def _number(environment: Mapping[str, str], name: str) -> int:
    value = _value(environment, name)
    if not value.isdecimal():
        raise ConfigError(f"{name} is {value!r}; it must be a whole number")
    return int(value)
