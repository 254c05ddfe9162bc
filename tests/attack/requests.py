"""Hostile requests to the page: each is answered or refused, and none is an error of the server."""

from __future__ import annotations

import base64
import contextlib
import functools
import io
import json
import random
from pathlib import Path
from urllib.parse import quote

from PIL import Image
from starlette.testclient import TestClient

from assay.web import make_app
from assay.web.guard import Hosts

from .cases import NUMBERS, WEIRD, quiet_warnings, spoiled
from .stores import _sound

_URL = "http://127.0.0.1:8765"
_PATHS = ("/", "/studies/{}", "/studies/{}/play", "/studies/{}/report", "/static/{}", "/api/studies", "/api/studies/{}",
          "/api/studies/{}/curves", "/api/studies/{}/arms", "/api/studies/{}/answer", "/api/studies/{}/trials",
          "/api/studies/{}/runs/{}", "/api/studies/{}/play", "/api/studies/{}/play/picks/{}",
          "/api/studies/{}/play/image", "/predict", "/openapi.json", "/{}")  # fmt: skip


@functools.cache
def _client() -> TestClient:
    client = TestClient(make_app(_sound(), Hosts("127.0.0.1", 8765)), base_url=_URL, raise_server_exceptions=False)
    client.__enter__()  # until the process ends
    return client


def close() -> None:
    """End the application."""
    if _client.cache_info().currsize:
        _client().__exit__(None, None, None)
        _client.cache_clear()


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("L", (28, 28), 128).save(file, "PNG")
    return file.getvalue()


def attack(rng: random.Random, folder: Path) -> None:
    """Ten requests with paths, queries, headers and bodies of any kind."""
    for _ in range(10):
        path = rng.choice(_PATHS)
        while "{}" in path:
            part = "small" if rng.random() < 0.6 else rng.choice((*WEIRD, *map(str, NUMBERS)))
            path = path.replace("{}", quote(part, safe="" if rng.random() < 0.7 else "/."), 1)
        if rng.random() < 0.3:
            path += f"?{quote(rng.choice(WEIRD))}={quote(str(rng.choice(NUMBERS)))}&since={rng.choice(NUMBERS)}"
        headers = {"content-type": rng.choice(("application/json", "image/png", "text/plain", ""))}
        if rng.random() < 0.2:
            headers[rng.choice(("host", "origin", "range", "if-none-match", "accept", "cookie"))] = rng.choice(
                [one for one in WEIRD if one.isprintable() and one.isascii()]
            )
        method = rng.choice(("GET", "GET", "HEAD", "POST", "POST", "PUT", "DELETE", "OPTIONS"))
        with quiet_warnings(), contextlib.suppress(UnicodeError):
            answer = _client().request(method, path, headers=headers, content=_body(rng))
            assert answer.status_code < 500 or answer.status_code == 503, (method, path, headers, answer.text[:500])
            assert "Traceback" not in answer.text, (method, path, headers)


def _body(rng: random.Random) -> bytes:
    match rng.randrange(5):
        case 0:
            return b""
        case 1:
            return spoiled(rng, _picture())
        case 2:
            images: list[object] = [
                base64.b64encode(spoiled(rng, _picture())).decode() for _ in range(rng.randrange(3))
            ]
            return json.dumps({"study": rng.choice(("small", *WEIRD)), "images": images}).encode()
        case 3:
            pixels: object = rng.choice((*NUMBERS, "x", None, [], [[0.5] * 8] * 8, [[[0]] * 8] * 8))
            body = {"study": "small", "images": [pixels], rng.choice(WEIRD): 1, "run": rng.choice((None, *WEIRD))}
            return json.dumps(body).encode()
        case _:
            return rng.choice((b"[" * 100_000, b"{}", b"null", b"\xff\xfe", rng.randbytes(300), b'{"study": "small"}'))
