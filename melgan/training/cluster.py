"""The workers of a run, as the environment variable TF_CONFIG lists them, or SLURM."""

import hashlib
import json
import os
from dataclasses import dataclass

from melgan.training.slurm import is_job, tf_config_of_step
from tfrecords_tools.foundation.errors import ConfigError

_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
_JOBS = ("chief", "worker")


@dataclass(frozen=True)
class Task:
    """One process of a run; `address` is its host:port."""

    job: str
    index: int
    address: str

    def __str__(self) -> str:
        return f"{self.job} {self.index} ({self.address})"

    @property
    def host(self) -> str:
        """The host that it runs on."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port that TensorFlow listens on."""
        return int(self.address.rpartition(":")[2])


@dataclass(frozen=True)
class Cluster:
    """All tasks, the one that leads first, and the place of this process among them.

    `secret` is a word that all have beside the list, if any: `"secret"` of TF_CONFIG, which TensorFlow does not read.
    """

    tasks: tuple[Task, ...]
    place: int
    secret: str = ""

    @property
    def own(self) -> Task:
        """Returns the task of this process."""
        return self.tasks[self.place]

    @property
    def leader(self) -> Task:
        """Returns the task that writes what only one may write: the chief, or else worker 0."""
        return self.tasks[0]

    @property
    def token(self) -> str:
        """Returns what tells the workers of a run from others: a digest of what its TF_CONFIG has in common."""
        common = [self.secret, *(f"{task.job} {task.address}" for task in self.tasks)]
        return hashlib.sha256(json.dumps(common).encode()).hexdigest()


def cluster_from_environment() -> Cluster:
    """Returns the workers that TF_CONFIG lists; without it those of a SLURM step, for which it is set.

    Raises:
      ConfigError: if it is missing or cannot be right; the message names the part and its value.
    """
    if not os.environ.get("TF_CONFIG") and is_job(os.environ):
        os.environ["TF_CONFIG"] = json.dumps(tf_config_of_step(os.environ))  # TensorFlow reads it there
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise ConfigError(f"strategy is 'multi_worker', but TF_CONFIG is not set; set it on each worker, as {_EXAMPLE}")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"TF_CONFIG is no JSON ({error}): {text!r}; it must look like {_EXAMPLE}") from error
    jobs, own = _part(config, "cluster"), _part(config, "task")
    tasks = tuple(Task(job, index, _address(job, each)) for job in _JOBS for index, each in enumerate(_list(jobs, job)))
    _require_known_jobs(jobs)
    _require_apart(tasks)
    return Cluster(tasks, _place(tasks, own), _secret(config))


def _part(config: object, name: str) -> dict:
    part = config.get(name) if isinstance(config, dict) else None
    if not isinstance(part, dict):
        raise ConfigError(f"TF_CONFIG has no {name!r}; it must look like {_EXAMPLE}")
    return part


def _secret(config: dict) -> str:
    secret = config.get("secret", "")
    if not isinstance(secret, str):
        raise ConfigError(f"TF_CONFIG: secret is {type(secret).__name__}; it must be a text")
    return secret


def _list(jobs: dict, job: str) -> list:
    addresses = jobs.get(job, [])
    if not isinstance(addresses, list):
        raise ConfigError(f"TF_CONFIG: cluster {job} is {addresses!r}; it must be a list of host:port")
    return addresses


def _address(job: str, address: object) -> str:
    host, _, port = str(address).rpartition(":")
    if not (isinstance(address, str) and host and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigError(f"TF_CONFIG: cluster {job} lists {address!r}; it must be host:port, as in host1:2222")
    return address


def _require_known_jobs(jobs: dict) -> None:
    others = [job for job in jobs if job not in _JOBS]
    if others:
        raise ConfigError(f"TF_CONFIG: cluster has {', '.join(others)}; only chief and worker are known here")
    if len(jobs.get("chief", [])) > 1:
        raise ConfigError(f"TF_CONFIG: cluster has {len(jobs['chief'])} chiefs; there can be one, the rest are workers")


def _require_apart(tasks: tuple[Task, ...]) -> None:
    seen: dict[str, Task] = {}
    for task in tasks:
        if task.address in seen:
            raise ConfigError(f"TF_CONFIG: {task} has the address of {seen[task.address]}; each needs its own")
        seen[task.address] = task


def _place(tasks: tuple[Task, ...], own: dict) -> int:
    job, index = own.get("type"), own.get("index")
    names = [(task.job, str(task.index)) for task in tasks]
    if (job, str(index)) not in names:
        known = ", ".join(str(task) for task in tasks) or "nothing"
        raise ConfigError(f"TF_CONFIG: task is type {job!r}, index {index!r}; the cluster has {known}")
    return names.index((job, str(index)))
