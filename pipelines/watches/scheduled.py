"""Work at the checkpoints that an undisturbed training has, and the copy of its folder after each."""

from typing import Protocol

from pipelines.watches.mirroring import Mirror


class Watch(Protocol):
    """Work at a checkpoint, whose last file tells that all of it is done."""

    def is_written(self, step: int) -> bool:
        """Returns whether a checkpoint has all of it."""

    def write(self, step: int) -> None:
        """Does it for the generator of a step."""


class ScheduledWatch:
    """Does the work that is due at a checkpoint, once; called with its step.

    Arguments:
      watch: the work.
      mirror: sends the folder afterwards.
      checkpoint_every, total_steps: of the training. It has no other checkpoints unless SIGTERM asks for some.
    """

    def __init__(self, watch: Watch, mirror: Mirror, *, checkpoint_every: int, total_steps: int) -> None:
        self._watch, self._mirror = watch, mirror
        self._checkpoint_every, self._total_steps = checkpoint_every, total_steps

    def __call__(self, step: int) -> None:
        """Does what is due."""
        is_scheduled = step % self._checkpoint_every == 0 or step == self._total_steps
        if is_scheduled and not self._watch.is_written(step):
            self._watch.write(step)
        self._mirror.send()
