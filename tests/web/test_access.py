"""The page on a network: nobody reads it without the token, and nobody takes every place."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from assay.cli import main
from assay.web import make_app
from assay.web.access import Access
from assay.web.guard import hosts_of

from .conftest import URL

ACCESS = Access(8765)
BROWSER = {"accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def stranger(finished_store: Path) -> Iterator[TestClient]:
    app = make_app(finished_store, hosts_of("0.0.0.0", 8765), allow_run=True, access=ACCESS)
    with TestClient(app, base_url=URL, follow_redirects=False) as client:
        yield client


PATHS = ["/", "/studies/small", "/studies/small/play", "/studies/small/report", "/api/studies", "/api/events",
         "/static/app.css", "/openapi.json", "/predict", "/api/studies/small/run", "/nowhere"]  # fmt: skip
WRONG: list[dict[str, str]] = [
    {}, {"cookie": "assay-token-8765=wrong"}, {"cookie": f"assay-token-8766={ACCESS.token}"},
    {"authorization": "Bearer wrong"}, {"authorization": f"Basic {ACCESS.token}"}, {"cookie": '=;"\x7f;;=;'},
    {"x-assay-token": ACCESS.token},
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("headers", WRONG, ids=[f"headers{number}" for number in range(len(WRONG))])
def test_without_the_token_nothing_is_answered(stranger: TestClient, path: str, headers: dict[str, str]) -> None:
    for method in ("GET", "HEAD", "POST"):
        answer = stranger.request(method, path, headers={**BROWSER, **headers})
        assert answer.status_code == 401
        assert "x-frame-options" in answer.headers
        assert b"small" not in answer.content
    assert stranger.get(f"{path}?token=wrong", headers=BROWSER).status_code == 401
    assert stranger.get(f"{path}?token=", headers=BROWSER).status_code == 401


def test_a_browser_gets_a_cookie_and_an_address_without_the_token(stranger: TestClient) -> None:
    answer = stranger.get(f"/studies/small{ACCESS.query}&sort=seed", headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/small?sort=seed")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert stranger.get("/studies/small", headers=BROWSER).status_code == 200
    assert stranger.get("/api/studies").json()
    elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert stranger.get("/api/studies", headers=elsewhere).status_code == 403  # a cookie opens it to no other site
    assert stranger.post("/api/studies/small/stop").status_code == 403


@pytest.mark.parametrize("path", ["//evil.example/", "//evil.example", "/\\evil.example", "/a%0d%0aset-cookie:x=y"])
def test_the_token_leads_to_no_other_site(stranger: TestClient, path: str) -> None:
    answer = stranger.get(f"{URL}{path}{ACCESS.query}", headers=BROWSER)
    if answer.status_code == 303:
        location = answer.headers["location"]
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert len(answer.headers.get_list("set-cookie")) == 1


def test_programs_bring_it_as_they_are_used_to(stranger: TestClient) -> None:
    assert stranger.get(f"/api/studies{ACCESS.query}").status_code == 200
    assert stranger.get("/api/studies", headers={"authorization": f"Bearer {ACCESS.token}"}).status_code == 200


def test_a_secure_page_has_a_secure_cookie_and_tokens_differ(finished_store: Path) -> None:
    access = Access(8765, is_secure=True)
    assert access.token != ACCESS.token
    assert len(access.token) >= 32
    assert access.token not in repr(access)
    app = make_app(finished_store, hosts_of("0.0.0.0", 8765, "https"), access=access)
    with TestClient(app, base_url="https://127.0.0.1:8765", follow_redirects=False) as client:
        assert "secure" in client.get(f"/{access.query}", headers=BROWSER).headers["set-cookie"].lower()
        origin = {"origin": "http://127.0.0.1:8765", "authorization": f"Bearer {access.token}"}
        assert client.get("/api/studies", headers=origin).status_code == 403
        assert client.get("/api/studies", headers={**origin, "origin": "https://127.0.0.1:8765"}).status_code == 200


def test_training_over_an_open_network_needs_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--store", str(tmp_path), "--host", "0.0.0.0", "--port", "0", "--allow-run"])
    assert ended.value.code == 2
    assert "whoever listens on the network could start and stop training" in capsys.readouterr().err
    (tmp_path / "no.pem").write_text("no certificate")
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--store", str(tmp_path), "--port", "0", "--tls-cert", str(tmp_path / "no.pem")])
    assert ended.value.code == 2
    assert "the certificate cannot be used" in capsys.readouterr().err


SERVER = """
import sys
from assay.web import connections
connections.HEADER_SECONDS = 2.0
from assay.cli import main
main(sys.argv[1:])
"""


@contextlib.contextmanager
def serving(store: Path, *options: str) -> Iterator[str]:
    command = [sys.executable, "-c", SERVER, "serve", "--store", str(store), "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads("".join(process.stdout.readline() for _ in range(3)))["url"]
        finally:
            process.kill()


def test_slow_headers_are_cut_off_and_starve_nobody(tmp_path: Path) -> None:
    with serving(tmp_path) as url, contextlib.ExitStack() as stack:
        port = int(url.rpartition(":")[2].strip("/"))
        slow = []
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            connection.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1")
            slow.append(connection)
        started = time.monotonic()
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200
        assert time.monotonic() - started < 2.0
        for connection in slow:  # each is closed, though it goes on sending
            connection.settimeout(10)
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"x")
                assert connection.recv(1) == b""
        assert time.monotonic() - started < 8.0


def test_a_kept_connection_that_goes_quiet_in_a_header_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path) as url:
        port = int(url.rpartition(":")[2].strip("/"))
        with socket.create_connection(("127.0.0.1", port), 20) as connection:
            connection.sendall(f"GET /static/app.css HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert connection.recv(12) == b"HTTP/1.1 200"
            connection.sendall(b"GET / HTTP/1.1\r\nhost:")
            with contextlib.suppress(ConnectionError):
                while connection.recv(1 << 16):
                    pass


def test_on_a_network_the_link_holds_the_token(tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0") as url:
        plain, _, token = url.partition("?token=")
        assert len(token) >= 32
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(plain)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        opener.addheaders = list(BROWSER.items())
        with opener.open(url) as answer:
            assert answer.geturl() == plain
            assert answer.status == 200


def test_with_a_certificate_the_page_may_train(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("openssl is missing")
    options = ("--host", "0.0.0.0", "--allow-run", "--tls-cert", str(certificate), "--tls-key", str(key))
    with serving(tmp_path / "store", *options) as url:
        assert url.startswith("https://127.0.0.1:")
        trusted = ssl.create_default_context(cafile=str(certificate))
        request = urllib.request.Request(url.replace("/?", "/api/studies?"))
        with pytest.raises(urllib.error.HTTPError, match="404"):  # the store is not there yet
            urllib.request.urlopen(request, context=trusted)
