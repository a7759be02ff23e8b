"""A web server on this machine that answers as the web does: images, dead links, redirects, silence, refusals."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from drawn import encoded, noise
from PIL import Image

SIDE = 64
KINDS = {"jpg": ("JPEG", "image/jpeg"), "png": ("PNG", "image/png"), "webp": ("WEBP", "image/webp")}


class Web(ThreadingHTTPServer):
    """Answers by path, and counts what it was asked.

    Paths: ``/ok/NAME.jpg|png|webp`` an image of its own for each name; ``/again/N.jpg`` a redirect to it;
    ``/html/N.jpg``, ``/cut/N.jpg``, ``/wide/N.png``, ``/small/N.png``, ``/huge/N.png`` what is no usable image;
    ``/silent/N.jpg`` nothing for longer than a timeout; ``/noindex/N.jpg`` an image that robots may not use; all
    else is not found.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: Counter[str] = Counter()
        self.gone: set[str] = set()
        self.changed: set[str] = set()
        self.seconds = 0.0
        self.ended = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


def picture(name: str, form: str, changed: bool = False) -> bytes:
    return encoded(noise(name + "!" * changed, SIDE), form)


def huge() -> bytes:
    """More pixels than any limit, in few bytes."""
    return encoded(Image.new("1", (12_000, 12_000)))


class Answers(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        time.sleep(self.server.seconds)
        kind, _, name = self.path.strip("/").partition("/")
        if self.path in self.server.gone or not hasattr(self, kind):
            return self.send_error(404)
        return getattr(self, kind)(name)

    def reply(self, data: bytes, mime: str, **headers: str) -> None:
        self.send_response(200)
        for key, value in {"Content-Type": mime, "Content-Length": str(len(data)), **headers}.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def ok(self, name: str, **headers: str) -> None:
        form, mime = KINDS[name.rpartition(".")[2]]
        self.reply(picture(name, form, self.path in self.server.changed), mime, **headers)

    def noindex(self, name: str) -> None:
        self.ok(name, X_Robots_Tag="noindex")

    def again(self, name: str) -> None:
        self.send_response(302)
        self.send_header("Location", self.server.url(f"ok/{name}"))
        self.end_headers()

    def html(self, name: str) -> None:
        self.reply(b"<html><body>not here any more</body></html>", "text/html")

    def cut(self, name: str) -> None:
        data = picture(name, "JPEG")
        self.reply(data[: len(data) - 100], "image/jpeg")

    def wide(self, name: str) -> None:
        self.reply(encoded(Image.new("RGB", (400, 40))), "image/png")

    def small(self, name: str) -> None:
        self.reply(encoded(noise(name, 8)), "image/png")

    def huge(self, name: str) -> None:
        self.reply(huge(), "image/png")

    def silent(self, name: str) -> None:
        self.server.ended.wait(30)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Web]:
    with Web() as web:
        threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield web
        finally:
            web.ended.set()
            web.shutdown()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
