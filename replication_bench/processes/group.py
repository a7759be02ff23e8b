"""The processes of one run: messages, shared work, and one end for all.

Every message goes through ``exchange``, which also carries a user's mistake. So a process that fails meets the others
in whatever they exchange next, and all of them end with the same line, which the main process prints.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any, TypeVar

from replication_bench.errors import ConfigError, ReplbenchError
from replication_bench.processes import launch, meeting

T = TypeVar("T")
R = TypeVar("R")
WAIT = timedelta(days=30)  # the others wait while the main process searches and measures
MEET = timedelta(seconds=20)
LINGER = 3.0


class SharedError(ReplbenchError):
    """A mistake that every process knows of."""


class OwnError(ReplbenchError):
    """A mistake that the others cannot be told of, for they wait for this process in the middle of a step."""


@dataclass(frozen=True)
class Processes:
    """The processes that work on a run together; this one among them.

    Attributes:
        count: of all machines.
        rank: of this process; 0 is the main one.
        group: for messages over the CPU; None where there is one process.
        meeting: another one, in which nobody waits longer than ``MEET``.
    """

    count: int = 1
    rank: int = 0
    group: Any = None
    meeting: Any = None

    @property
    def is_main(self) -> bool:
        """Whether this process prints, holds locks, and writes what is written once."""
        return self.rank == 0

    def exchange(self, value: T | None = None, error: ReplbenchError | None = None) -> list[T]:
        """The values of all processes by rank; all wait for the last.

        Raises:
            SharedError: in every process, the line of the first that brought an error.
        """
        if self.count == 1:
            if error is not None:
                raise error
            return [value]  # type: ignore[list-item]
        from torch import distributed

        found: list[Any] = [None] * self.count
        distributed.all_gather_object(found, (value, error and str(error)), group=self.group)
        for _, line in found:
            if line is not None:
                raise SharedError(line) from error
        return [value for value, _ in found]

    def first(self, work: Callable[[], T]) -> T:
        """What ``work`` returns in the main process, which alone calls it; all wait for it."""
        return self.exchange(work() if self.is_main else None)[0]

    def share(
        self, items: Sequence[T], work: Callable[[T], R], progress: Callable[[int], None] | None = None
    ) -> list[R]:
        """``work`` of every item, in order, each done by one process; every process gets all.

        Args:
            items: the same in all processes.
            work: must not exchange anything.
            progress: told how many items are done, supposing that the others are as quick.
        """
        found = []
        for index in range(self.rank, len(items), self.count):
            found.append(work(items[index]))
            if progress:
                progress(min(index - self.rank + self.count, len(items)))
        parts = self.exchange(found)
        return [parts[index % self.count][index // self.count] for index in range(len(items))]

    @contextmanager
    def together(self) -> Iterator[None]:
        """A user's mistake inside, in whichever process, ends the block in all of them.

        Raises:
            SharedError: the mistake.
        """
        try:
            yield
        except (SharedError, OwnError):
            raise
        except ReplbenchError as error:
            self.exchange(error=error)
        else:
            self.exchange()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process runs the block before the others, which then find in the cache what it left there."""
        if not self.is_main:
            self.exchange()
        yield
        if self.is_main:
            self.exchange()

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """Around work in which gradients are exchanged: others may wait there for a process that failed.

        Raises:
            SharedError: all processes failed.
            OwnError: the others did not; whoever launched them ends them when this one ends.
        """
        try:
            yield
        except ReplbenchError as error:
            if self.count == 1:
                raise
            if self.all_meet():
                raise SharedError(str(error)) from error
            raise OwnError(f"process {self.rank} of {self.count}: {error}") from error

    def in_steps(self, items: Iterator[T]) -> Iterator[T]:
        """``items``, each of which is made as in ``in_step``."""
        while True:
            with self.in_step():
                found = list(islice(items, 1))
            if not found:
                return
            yield found[0]

    def all_meet(self) -> bool:
        """Whether all processes call this within ``MEET``."""
        from torch import distributed

        try:
            distributed.barrier(self.meeting)
        except RuntimeError:
            return False
        return True

    def part(self, rows: range) -> range:
        """The rows of this process; sizes differ by one at most, and may be 0."""
        return rows[len(rows) * self.rank // self.count : len(rows) * (self.rank + 1) // self.count]


ALONE = Processes()


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that were launched together, through Accelerate; ``ALONE`` where there is one.

    Args:
        device: ``cuda`` or ``cpu``; the same in all of them.

    Raises:
        ConfigError: see ``launch.check_launch`` and ``meeting.meet``.
    """
    import torch

    devices = torch.cuda.device_count()
    if launch.launched().count == 1:
        launch.check_launch(device, devices)
        yield ALONE
        return
    from accelerate import PartialState

    store = meeting.meet(device, refusal(device, devices))
    state: Any = PartialState(cpu=device == "cpu", timeout=WAIT)
    launch.check_sharding(str(state.distributed_type))
    groups = [torch.distributed.new_group(backend="gloo", timeout=wait) for wait in (WAIT, MEET)]
    del store  # held until here: joining goes through the same one
    yield Processes(state.num_processes, state.process_index, *groups)
    state.destroy_process_group()


def refusal(device: str, devices: int) -> ConfigError | None:
    """What ``launch.check_launch`` raises: the other processes are to hear of it."""
    try:
        launch.check_launch(device, devices)
    except ConfigError as error:
        return error
    return None


def speaks(error: BaseException) -> bool:
    """Whether this process tells of an error; the others keep silent until the main one has.

    A launcher ends all processes as soon as one ends, so they linger.
    """
    if launch.launched().rank == 0 or isinstance(error, OwnError):
        return True
    time.sleep(LINGER)
    return False
