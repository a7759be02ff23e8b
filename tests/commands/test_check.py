from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from torch import Tensor

from baselines.augment import Augment
from loyal.method import Loyal
from replication_bench.cli import main
from replication_bench.method import Method
from replication_bench.testing import method_checks


def names() -> list[str]:
    return [check.__name__ for check in method_checks()]


def test_a_sound_method_holds_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "none", "--json"])
    assert json.loads(capsys.readouterr().out) == [{"check": name, "failure": None} for name in names()]


def test_a_broken_method_names_its_check_and_ends_with_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(Method):
        def image(self, image: Tensor, rng: object) -> Tensor:
            return image.mul_(np.float32(0.5))

    monkeypatch.setattr(
        "replication_bench.commands.check.build_method", lambda name, options: (Broken(), None)
    )
    with pytest.raises(SystemExit) as stopped:
        main(["check", "none"])
    assert stopped.value.code == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "broken check_hooks_leave_inputs_unchanged: the hook 'image' changes its arguments" in out
    assert "holds check_timesteps" in out


def test_a_method_is_checked_with_the_options_that_are_set(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Method] = []
    monkeypatch.setattr(
        "replication_bench.commands.check.failure", lambda check, case: seen.append(case.method)
    )
    main(["check", "loyal", "--set", "methods.loyal.tau=300", "--set", "methods.loyal.skips=SC4", "--json"])
    assert seen == [Loyal(tau=300, skips=("SC4",))] * len(names())
    main(["check", "data-augmentation", "--set", "methods.augment.flip=1"])
    assert seen[-1] == Augment(flip=1)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("methods.loyal.tau=0", "in methods.loyal.tau; got 0"),
        ("methods.loyal.taau=1", "has no parameter 'taau'. Did you mean 'tau'?"),
        ("methods.loyal.tau", "--set takes key=value"),
        ("methods.dual.tau=300", "in --set; got methods.dual.tau; want methods.loyal.KEY=VALUE"),
        ("train.budget=8", "in --set; got train.budget; want methods.loyal.KEY=VALUE"),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(
    replbench: Callable[..., tuple[int, str, str]], setting: str, message: str
) -> None:
    status, out, line = replbench("check", "loyal", "--set", setting)
    assert (status, out, line.count("\n")) == (2, "", 1)
    assert message in line


@pytest.mark.parametrize(
    ("name", "message"), [("nine", "unknown method"), ("loyal+gn", "one method at a time")]
)
def test_what_is_no_method_is_one_line(capsys: pytest.CaptureFixture[str], name: str, message: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["check", name])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_a_method_that_lacks_something_here_is_not_called_broken(
    replbench: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLBENCH_WORDNET", "/nowhere")
    status, out, err = replbench("check", "gc")
    assert status == 2
    assert "broken" not in out
    assert "replbench: cannot be checked here: gc has no captions" in err
    assert len(err.splitlines()) == 1
    assert ".." not in err
