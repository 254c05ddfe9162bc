"""A cache and a data folder of the test's own, a tiny data set, and mirrors to fetch it from."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from assay.data import Entry, idx_sha256, write_idx

NUM_TRAINING, NUM_TEST, HEIGHT, WIDTH = 12, 6, 40, 50


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "*")


@dataclass
class Tiny:
    """A data set of random bytes (which gzip cannot shrink), and its raw files in a folder of their own."""

    entry: Entry
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    files: dict[str, bytes]

    def put(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def make_tiny(folder: Path, mirrors: tuple[str, ...] = ("http://127.0.0.1:9/",)) -> Tiny:
    rng = np.random.default_rng(5)
    arrays = (
        rng.integers(0, 256, (NUM_TRAINING, HEIGHT, WIDTH), dtype=np.uint8),
        (np.arange(NUM_TRAINING) % 3).astype(np.uint8),
        rng.integers(0, 256, (NUM_TEST, HEIGHT, WIDTH), dtype=np.uint8),
        (np.arange(NUM_TEST) % 3).astype(np.uint8),
    )
    entry = Entry(
        name="tiny",
        title="Tiny",
        height=HEIGHT,
        width=WIDTH,
        channels=1,
        classes=("a", "b", "c"),
        num_training=NUM_TRAINING,
        num_test=NUM_TEST,
        sha256=tuple(map(idx_sha256, arrays)),
        mirrors=mirrors,
        sources=(),
        licence="",
        citation="",
        test_split_note="",
    )
    folder.mkdir()
    for file, array in zip(entry.files, arrays, strict=True):
        write_idx(folder / file.name, array)
    return Tiny(entry, arrays, {file.name: (folder / file.name).read_bytes() for file in entry.files})


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return make_tiny(tmp_path / "made")


@dataclass
class Mirror:
    """What a mirror holds, how it misbehaves, and what it was asked: (file, Range header, bytes sent)."""

    files: dict[str, bytes] = field(default_factory=dict)
    understands_ranges: bool = True
    lies_about_ranges: bool = False
    cuts_after_bytes: int | None = None
    asked: list[tuple[str, str | None, int]] = field(default_factory=list)
    url: str = ""


def _handler(mirror: Mirror) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, wanted = self.path.lstrip("/"), self.headers.get("Range")
            content = mirror.files.get(name)
            if content is None:
                mirror.asked.append((name, wanted, 0))
                self.send_error(404)
                return
            start = 0
            if wanted and mirror.understands_ranges:
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
                if start >= len(content):
                    mirror.asked.append((name, wanted, 0))
                    self.send_error(416)
                    return
                self.send_response(206)
                told = start + 1 if mirror.lies_about_ranges else start
                self.send_header("Content-Range", f"bytes {told}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            body = content[start:]
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            sent = body[: mirror.cuts_after_bytes]
            mirror.asked.append((name, wanted, len(sent)))
            self.wfile.write(sent)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def mirrors() -> Iterator[tuple[Mirror, Mirror]]:
    """Two mirrors on this machine, empty at first."""
    both = (Mirror(), Mirror())
    servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(mirror)) for mirror in both]
    threads = []
    for mirror, server in zip(both, servers, strict=True):
        mirror.url = f"http://127.0.0.1:{server.server_address[1]}/"
        threads.append(threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True))
        threads[-1].start()
    yield both
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def mirrored(tmp_path: Path, mirrors: tuple[Mirror, Mirror]) -> Tiny:
    """The tiny data set, held by both mirrors."""
    tiny = make_tiny(tmp_path / "made", tuple(mirror.url for mirror in mirrors))
    for mirror in mirrors:
        mirror.files.update(tiny.files)
    return tiny
