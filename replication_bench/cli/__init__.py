"""The ``replbench`` command: parse, call, print. Heavy imports stay inside functions so that ``--help`` is quick."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from typing import Any

import typer

# the order of the imports is the order of --help
from replication_bench.cli import runs  # noqa: F401

# isort: split
from replication_bench.cli import data  # noqa: F401

# isort: split
from replication_bench.cli import images  # noqa: F401

# isort: split
from replication_bench.cli import results  # noqa: F401

# isort: split
from replication_bench.cli import models  # noqa: F401

# isort: split
from replication_bench.cli import lists  # noqa: F401

# isort: split
from replication_bench.cli import authors  # noqa: F401

# isort: split
from replication_bench.cli.app import app
from replication_bench.errors import PluginError, ReplbenchError
from replication_bench.processes import speaks

# typer carries its own copy of click: its exceptions are found through the one that it exports
CommandError: Any = typer.BadParameter.__mro__[2]
INTERRUPTED = 130  # 128 and SIGINT, as shells count
STOPPED = "interrupted; run the same command to go on where it stopped"


def add_plugin_commands() -> None:
    """Commands of other packages: each entry point is a ``typer.Typer``, mounted under its name."""
    from replication_bench import plugins

    for name, plugin in plugins.available("commands").items():
        try:
            app.add_typer(plugin.load(), name=name)
        except PluginError as error:
            app.add_typer(refusing(error), name=name)


def refusing(error: PluginError) -> typer.Typer:
    """In the place of a command that cannot be imported: it says so when it is called, and disturbs no other."""
    broken = typer.Typer(help="Cannot be imported.", invoke_without_command=True)

    @broken.callback()
    def refuse() -> None:
        raise error

    return broken


def fail(error: BaseException, line: str, status: int = 2) -> None:
    """One line on stderr, whatever the number of processes, then the exit status."""
    if speaks(error):
        sys.stderr.write(f"replbench: {line}\n")
    sys.exit(status)


def leave(status: Any) -> None:
    """End as a command asked to: typer hands back ``typer.Exit``, which it makes of Ctrl-C too, and does not leave."""
    if status == INTERRUPTED:
        fail(KeyboardInterrupt(), STOPPED, INTERRUPTED)
    if type(status) is int and status:
        sys.exit(status)


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: a user's mistake is one line and status 2; a bug keeps its traceback."""
    # read by OpenMP when torch is imported: spinning threads on shared cores are many times slower
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    # Pillow refuses an image of twice that size; what it says of one below is no business of the user
    warnings.filterwarnings("ignore", message="Image size .* could be decompression bomb")
    # diffusers imports it where it is installed, and it then tells which of its kernels nobody asked for are missing
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    status = 0
    try:
        add_plugin_commands()
        status = app(
            (sys.argv[1:] if arguments is None else arguments) or ["--help"],
            standalone_mode=False,
            prog_name="replbench",
        )
    except CommandError as error:
        fail(error, " ".join(error.format_message().split()))
    except ReplbenchError as error:
        fail(error, str(error))
    except (KeyboardInterrupt, typer.Abort) as error:
        fail(error, STOPPED, INTERRUPTED)
    leave(status)
