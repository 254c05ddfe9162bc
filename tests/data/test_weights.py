"""Weights by name: fetched with resumption, recognised by their content, told where they belong."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from assay.data import fetch_weights, find_weights, has_weights, weights_folder
from assay.data.registry import weights
from assay.data.registry.entries import RawFile
from assay.errors import DataError

CONTENT = bytes(range(256)) * 400


@pytest.fixture
def mirror() -> Iterator[tuple[str, list[str]]]:
    """A server that breaks the first answer off in the middle, and what it was asked for."""
    ranges: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            body = CONTENT[start:]
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if asked else body[: len(body) // 2])

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", ranges
    server.shutdown()
    server.server_close()


@pytest.fixture
def known(mirror: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Weights called ``made-up`` on the mirror; returns what it was asked for."""
    monkeypatch.setenv("ASSAY_DATA", str(tmp_path / "data"))
    address, ranges = mirror
    file = RawFile("made-up.h5", packed=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    entry = weights.WeightsFile(file, (address, address), "none", aliases=("other.h5",))
    monkeypatch.setattr(weights, "WEIGHTS", {"made-up": entry})
    return ranges


def test_a_broken_download_goes_on_where_it_stopped(known: list[str]) -> None:
    assert not has_weights("made-up")
    (path,) = fetch_weights("made-up")
    assert (path, path.read_bytes()) == (weights_folder() / "made-up.h5", CONTENT)
    assert known == ["", f"bytes={len(CONTENT) // 2}-"]
    assert fetch_weights("made-up") == [find_weights("made-up")] == [path]
    assert len(known) == 2  # it is here


def test_what_is_missing_or_wrong_is_told_with_the_place_where_it_belongs(known: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        find_weights("made-up")
    told = "made-up's ImageNet weights are not here, made-up.h5 is missing; run `assay data fetch made-up`"
    assert str(caught.value) == f"{weights_folder()}: {told}, or put it into this folder."
    weights_folder().mkdir(parents=True)
    other = weights_folder() / "other.h5"
    other.write_bytes(CONTENT)
    assert find_weights("made-up") == other
    other.write_bytes(b"something else")
    with pytest.raises(DataError, match="this is not the published file of made-up: its SHA-256 should be"):
        find_weights("made-up")
    with pytest.raises(DataError, match="no ImageNet weights are known by name for mobilenetv2"):
        find_weights("mobilenetv2")
