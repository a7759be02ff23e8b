"""Sections of one table, each with its limit of time, written to a file as they come."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch

from replication_bench.store import write_atomic


class OutOfTime(BaseException):  # nothing on the way may take it for an error
    """The alarm of ``within``."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in what is done here after ``seconds``; a call into C is left to end first. Unix alone."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Section:
    """A part of the table: Markdown that ``work`` returns, and the most seconds that it may take."""

    name: str
    work: Callable[[], str]
    limit: float


@dataclass
class Report:
    """Sections in one Markdown file, or with ``-`` on standard output.

    Attributes:
        out: the file.
        head: what stands above the sections.
        limit: seconds for all of them.
        failed: names of the sections that raised.
    """

    out: str
    head: str
    limit: float
    start: float = field(default_factory=time.monotonic)
    failed: list[str] = field(default_factory=list)

    def run(self, sections: Sequence[Section]) -> None:
        """Take each section in turn; the file is whole after each."""
        text = ""
        for number, section in enumerate([None, *sections]):
            part = self.head if section is None else f"## {section.name}\n\n{self.take(section)}"
            text += f"{part}\n\n"
            note = f"{number} of {len(sections)} sections; the script was at work, or was killed.\n"
            done = f"{self.spent():.0f} seconds in all.\n"
            self.show(part, text + (done if number == len(sections) else note))

    def spent(self) -> float:
        return time.monotonic() - self.start

    def show(self, part: str, text: str) -> None:
        """The new part on standard output, or the whole in the file."""
        if self.out == "-":
            print(f"{part}\n", flush=True)
        else:
            write_atomic(Path(self.out), lambda path: path.write_text(text, encoding="utf-8"))

    def take(self, section: Section) -> str:
        """What a section says, or why it says nothing."""
        print(f"{self.spent():5.0f} s  {section.name}", file=sys.stderr, flush=True)
        limit = min(section.limit, self.limit - self.spent())
        if limit <= 0:
            return "Not run: no time was left."
        try:
            with within(limit):
                return section.work()
        except OutOfTime:
            return f"Stopped after {limit:.0f} s."
        except torch.OutOfMemoryError:
            return "Not run: out of memory."
        except Exception as error:
            traceback.print_exc()
            self.failed.append(section.name)
            return f"Failed: {''.join(traceback.format_exception_only(error)).strip().splitlines()[0]}"
