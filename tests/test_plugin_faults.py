"""What goes wrong with other people's distributions is one line, and it disturbs nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from distributions import lay_out, visible

from replication_bench import cli, plugins

METHOD = """\
from dataclasses import dataclass
from replication_bench.method import Method
from replication_bench.ranges import probability

@dataclass(frozen=True)
class Own(Method):
    rate: float = 0.3
    def __post_init__(self):
        probability("rate", self.rate)
    def guide(self, denoiser, x_t, t, states, scale, ctx):
        return super().guide(denoiser, x_t, t, states, 0.5 * scale, ctx)

def factory():
    return Own()

command = 3
"""
RAISES = "raise ImportError('libmissing.so is not there')"
ENDS = "import sys; sys.exit(3)"
Offer = Callable[..., None]
Refused = Callable[..., str]


@pytest.fixture
def offer(tmp_path: Path) -> Iterator[Offer]:
    """Lays out a distribution beside replbench's; ``doors`` are its entry points."""
    with ExitStack() as stack:
        seen: list[str] = []

        def add(name: str, source: str = METHOD, kind: str = "methods", **doors: str) -> None:
            module = name.replace("-", "_")
            entries = "".join(f"{door} = {module}:{target}\n" for door, target in doors.items())
            lay_out(tmp_path / "site", name, module, source, f"[replication_bench.{kind}]\n{entries}")
            seen.append(name)
            stack.enter_context(visible(tmp_path / "site", *seen))

        yield add


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs a command that must end with one line and status 2, and leave nothing behind."""

    def run(*arguments: str) -> str:
        # what should be refused and is not, should at least end soon
        more = ("--budget", "1", "--samples", "1", "--out", str(tmp_path / "runs"))
        with pytest.raises(SystemExit) as stopped:
            cli.main([*arguments, *(more if arguments[0] == "run" else ())])
        printed, line = capsys.readouterr()
        assert (stopped.value.code, printed, line.count("\n")) == (2, "", 1)
        assert not (tmp_path / "runs").exists()
        return line

    return run


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, dict]:
    cli.main(["methods", "--json"])
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize(
    ("source", "got"),
    [
        (RAISES, "ImportError: libmissing.so is not there"),
        (ENDS, "SystemExit: 3"),
        ("x = 1", "AttributeError"),
    ],
    ids=["raises", "ends the process", "has no such name"],
)
def test_a_plug_in_that_cannot_be_imported_is_listed_with_its_error(
    source: str, got: str, offer: Offer, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    offer("broken-dist", source, broken="Own")
    offer("sound-dist", sound="Own")
    rows = listed(capsys)
    assert "cannot be imported; in broken-dist 1.0 (broken_dist:Own); got" in rows["broken"]["about"]
    assert got in rows["broken"]["about"]
    assert rows["sound"]["package"] == "sound-dist 1.0"
    assert rows["sound"]["hooks"] == ["guide"]
    for arguments in (
        ("run", "--method", "broken"),
        ("run", "--method", "loyal+broken"),
        ("check", "broken"),
    ):
        line = refused(*arguments)
        assert "method 'broken' cannot be imported; in broken-dist 1.0" in line
        assert got in line
    assert plugins.construct("methods", "sound", {}).rate == 0.3


def test_what_is_no_method_is_listed_and_refused(
    offer: Offer, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    offer("strange-dist", strange="factory")
    assert "'strange' is no method" in listed(capsys)["strange"]["about"]
    line = refused("run", "--method", "strange")
    assert "got a function; want a subclass of replication_bench.method.Method" in line


def test_a_name_of_two_distributions_is_refused_and_both_are_named(
    offer: Offer, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    offer("first-dist", twin="Own", alone="Own")
    offer("second-dist", twin="Own")
    line = refused("run", "--method", "twin")
    assert "two packages offer the method 'twin'; got first-dist and second-dist. Uninstall one" in line
    assert "'twin'" in refused("check", "twin")
    rows = listed(capsys)
    assert "first-dist and second-dist" in rows["twin"]["about"]
    assert rows["alone"]["package"] == "first-dist 1.0"


def test_a_distribution_cannot_take_the_name_of_a_method_of_replbench(offer: Offer, refused: Refused) -> None:
    offer("bold-dist", loyal="Own")
    line = refused("run", "--method", "loyal")
    assert "two packages offer the method 'loyal'" in line
    assert "bold-dist" in line
    assert "replbench" in line.partition("got ")[2]


def test_an_unknown_parameter_and_a_value_out_of_range_are_named(offer: Offer, refused: Refused) -> None:
    offer("sound-dist", sound="Own")
    line = refused("run", "--method", "sound", "--set", "methods.sound.rat=0.1")
    assert "method 'sound' has no parameter 'rat'. Did you mean 'rate'?" in line
    assert "no such probability; in methods.sound.rate; got 2" in refused(
        "run", "--method", "sound", "--set", "methods.sound.rate=2"
    )


def test_a_conflict_names_both_parts(offer: Offer, refused: Refused) -> None:
    offer("sound-dist", sound="Own")
    line = refused("run", "--method", "loyal+sound+amg")
    assert "'sound' and 'amg' cannot be combined; got both replace the hook 'guide'" in line


@pytest.mark.parametrize("method", ["gc", "mc"])
def test_a_caption_file_that_is_not_there_is_named(method: str, refused: Refused) -> None:
    line = refused("run", "--method", method, "--set", f"methods.{method}.captions=/no/such/captions.jsonl")
    assert f"the file cannot be read; in methods.{method}.captions; got /no/such/captions.jsonl" in line


def test_a_command_that_cannot_be_imported_says_so_when_it_is_called(
    offer: Offer, refused: Refused, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli.app, "registered_groups", [*cli.app.registered_groups])
    offer("broken-dist", RAISES, kind="commands", fetch="app")
    assert "command 'fetch' cannot be imported; in broken-dist 1.0" in refused("fetch")
    assert "none" in listed(capsys)
