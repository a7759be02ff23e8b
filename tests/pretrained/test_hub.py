"""The first contact with a hub."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from huggingface_hub import constants

from replication_bench.backbone import Backbone
from replication_bench.embedders.dinov2 import Dinov2
from replication_bench.embedders.open_clip import OpenClip
from replication_bench.errors import WeightsError
from replication_bench.pretrained.hub import check_reachable


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> str:
    """A hub on a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return url


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A hub that answers and has no time; what it was asked."""
    asked: list[str] = []

    class Busy(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(503)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield asked
        server.shutdown()


def test_a_hub_that_cannot_be_reached_is_one_line(closed: str) -> None:
    line = f"^the hub cannot be reached; in {closed}; got .*; want an answer about some/hub-id. There is no folder"
    with pytest.raises(WeightsError, match=line):
        Backbone.load("some/hub-id")


@pytest.mark.parametrize(
    ("embedder", "asked", "hint"),
    [
        (lambda: Dinov2("some/dinov2"), "some/dinov2", "Give path="),
        (OpenClip, "timm/vit_base_patch16_clip_224.openai", "Give 'path='"),
        (lambda: OpenClip("hf-hub:some/clip"), "some/clip", "Give 'path='"),
    ],
    ids=["dinov2", "open-clip tag", "open-clip hub id"],
)
def test_an_embedder_tells_it_as_soon_and_says_how_to_get_its_weights(
    embedder: Callable[[], object], asked: str, hint: str, closed: str
) -> None:
    start = time.monotonic()
    with pytest.raises(WeightsError, match=f"^the hub cannot be reached; in {closed}.*about {asked}. {hint}"):
        embedder()
    assert time.monotonic() - start < 10


def test_it_is_told_soon(closed: str) -> None:
    start = time.monotonic()
    with pytest.raises(WeightsError):
        check_reachable("some/hub-id")
    assert time.monotonic() - start < 10  # the client itself goes on for 23 at least


def test_a_hub_that_answers_is_left_to_the_client(busy: list[str]) -> None:
    check_reachable("some/hub-id")
    assert len(busy) == 1


def test_what_is_in_the_cache_needs_no_hub(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *words: "/cache/model_index.json")
    check_reachable("some/hub-id")


def test_an_offline_client_is_not_asked_for_a_hub(closed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    check_reachable("some/hub-id")
