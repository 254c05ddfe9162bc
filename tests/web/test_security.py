"""What other sites, broken clients and hostile uploads try: refused with the right status, and logged."""

from __future__ import annotations

import base64
import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from assay.store import ArmRecord, open_writer
from assay.web import limits, make_app
from assay.web.guard import Hosts, hosts_of

from ..helpers import small_study
from .conftest import HOSTS, URL

PLAY = "/api/studies/small/play/image?kind=picture"


def png_of(width: int, height: int, mode: str = "L") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height), 1).save(file, format="PNG")
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(width: int, height: int) -> bytes:
    """A small file that declares many pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = chunk(b"IDAT", zlib.compress(bytes((width + 1) * min(height, 2000)), 9))
    return b"\x89PNG\r\n\x1a\n" + header + rows + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """One pixel, and a comment of 200 MB that is packed into 200 kB."""
    comment = b"Comment\x00\x00" + zlib.compress(bytes(200 << 20), 9)
    plain = png_of(1, 1)
    return plain[:33] + chunk(b"zTXt", comment) + plain[33:]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8765"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8765.evil.example"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/", "/api/studies", "/predict"])
def test_other_sites_are_refused(
    client: TestClient, headers: dict[str, str], path: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "assay.web"):
        answer = (
            client.post(path, headers=headers, json={}) if path == "/predict" else client.get(path, headers=headers)
        )
    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]
    assert "access-control-allow-origin" not in answer.headers
    assert any("refused 403" in line and path in line for line in caplog.messages)


def test_a_link_from_another_site_may_be_followed_and_own_pages_may_ask(client: TestClient) -> None:
    visit = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=visit).status_code == 200
    own = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "origin": URL}
    assert client.get("/api/studies", headers=own).status_code == 200
    assert client.post("/predict", headers={**visit, "content-type": "application/json"}).status_code == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example:8765", "127.0.0.1.evil.example:8765", "127.0.0.1", "127.0.0.1:80", "127.0.0.1:8765:1", "", "a:b",
     "192.168.1.7:8765", "[::1", "127.0.0.1:87651", "127.0.0.1:8765@evil.example"],
)  # fmt: skip
def test_a_name_that_was_made_to_point_here_is_refused(
    client: TestClient, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/api/studies", headers={"host": host})
    assert answer.status_code == 421
    assert any("refused 421" in line for line in caplog.messages)


def test_the_names_of_this_machine_are_answered() -> None:
    for header in ("127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765"):
        assert HOSTS.is_ours(header)
    everywhere = hosts_of("0.0.0.0", 8765)
    assert everywhere.is_ours("192.168.1.7:8765")  # a number cannot be rebound
    assert not everywhere.is_ours("evil.example:8765")
    assert Hosts("box.lan", 80).is_ours("box.lan")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py", "/static/..%2f..%2fapi.py", "/static/%2e%2e/%2e%2e/api.py", "/static/....//app.py",
        "/static//etc/passwd", "/static/app.css%00.js", "/studies/../../../etc/passwd", "/studies/..%2f..%2fpasswd",
        "/studies/%2e%2e", "/api/studies/small/runs/..%2f..%2fstore.sqlite", "/api/studies/small/runs/%25",
        "/studies/small/report/..%2f..%2fstore.sqlite", "/store.sqlite", "/static/layout.html", "//evil.example/",
        "/studies/a'%20OR%201=1--", "/studies/<script>alert(1)</script>",
    ],
)  # fmt: skip
def test_paths_lead_nowhere_else(client: TestClient, path: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.send(client.build_request("GET", URL + path, headers={"accept": "text/html"}))
    assert answer.status_code == 404
    assert b"root:" not in answer.content
    assert b"SQLite format" not in answer.content
    assert b"<script>alert" not in answer.content
    assert any("refused 404" in line for line in caplog.messages) or "there is no study" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "CONNECT", "FOO"])
@pytest.mark.parametrize("path", ["/", "/api/studies", "/studies/small", "/static/app.css"])
def test_only_reading_is_answered(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"]


def test_predict_cannot_be_asked_by_a_link_or_a_form(client: TestClient) -> None:
    assert client.get("/predict").status_code == 405
    for kind in ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", ""):
        answer = client.post("/predict", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"GIF89a", 422),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), 422),
        (png_of(40, 40)[:-30], 422),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", 422),
        (b"%PDF-1.7", 422),
        (bomb(60_000, 60_000), 413),
        (bomb(5_000, 5_000), 413),
        (text_bomb(), 422),
        (bytes(limits.MAX_PICTURE_BYTES + 1), 413),
    ],
    ids=["empty", "header", "damaged", "cut off", "svg", "pdf", "huge bomb", "bomb", "text bomb", "large"],
)
def test_hostile_pictures(client: TestClient, content: bytes, status: int, caplog: pytest.LogCaptureFixture) -> None:
    answer = client.post(PLAY, content=content, headers={"content-type": "image/png"})
    assert answer.status_code == status
    assert answer.json()["error"].endswith(".")
    assert any(f"refused {status}" in line for line in caplog.messages)
    encoded = base64.b64encode(content).decode()
    asked = client.post("/predict", json={"study": "small", "images": [encoded]})
    assert asked.status_code in (status, 422)


def test_a_body_that_hides_its_length_is_read_no_further_than_the_limit(client: TestClient) -> None:
    sent = 0

    def parts() -> object:
        nonlocal sent
        for _ in range(64):
            sent += 1 << 20
            yield bytes(1 << 20)

    answer = client.post(PLAY, content=parts(), headers={"content-type": "image/png"})  # type: ignore[arg-type]
    assert answer.status_code == 413
    too_long = {"content-type": "image/png", "content-length": str(10**12)}
    assert client.post(PLAY, content=b"x", headers=too_long).status_code == 413


def test_every_answer_forbids_what_pages_need_not(client: TestClient) -> None:
    paths = [
        "/",
        "/studies/small",
        "/studies/small/play",
        "/static/app.css",
        "/api/studies",
        "/nowhere",
        "/openapi.json",
    ]
    answers = [client.get(path) for path in paths] + [client.get("/", headers={"host": "evil.example"})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers


def test_pages_load_nothing_from_elsewhere_and_hold_no_script(client: TestClient) -> None:
    from bs4 import BeautifulSoup

    for path in ("/", "/studies/small", "/studies/small/play"):
        page = BeautifulSoup(client.get(path).text, "html.parser")
        for script in page.find_all("script"):
            assert script["src"].startswith("/static/")
            assert not script.text
        assert not page.find_all("style")
        for element in page.find_all(True):
            assert not any(name.startswith("on") or name == "style" for name in element.attrs)
            for name in ("src", "href"):
                assert not str(element.get(name, "")).startswith(("http:", "https:", "//", "javascript:"))


def test_a_report_is_shut_off_from_the_pages(client: TestClient) -> None:
    answer = client.get("/studies/small/report")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy  # default-src 'none' holds


def test_names_from_the_store_are_texts(tmp_path: Path) -> None:
    hostile = '</script><img src=x onerror="alert(1)">'
    study = small_study(question=hostile)
    arm = ArmRecord(hostile, 0, {}, {"name": hostile, "layers": ["flatten", "dense classes softmax"]})
    data = {"name": "x", "title": hostile, "content": "0", "shape": [8, 8, 1], "classes": ["0", "1"], "dtype": "uint8"}
    with open_writer(tmp_path) as writer:
        spec = study.model_dump(mode="json", exclude_none=True)
        members, runs = [(hostile, 0, None, "f" * 64)], [("f" * 64, 0, 1, {})]
        writer.put_study(name="small", question=hostile, spec=spec, data=data, arms=[arm], members=members, runs=runs)
        writer.put_failed("small", "f" * 64, state="failed", reason=hostile, advice=hostile)
    with TestClient(make_app(tmp_path, HOSTS), base_url=URL) as other:
        for path in ("/studies/small", "/api/studies/small/answer", "/api/studies/small/arms"):
            answer = other.get(path)
            assert answer.status_code == 200
            assert "&lt;img src=x" in answer.text
            assert "<img src=x" not in answer.text


def test_breaks_in_what_is_asked_reach_neither_headers_nor_log(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/studies/x%0d%0aSet-Cookie:%20a=b%0a12:00:00%20refused%20200")
    assert answer.status_code == 404
    assert "set-cookie" not in answer.headers
    assert all("\n" not in line and "\r" not in line for line in caplog.messages)
    asked = client.get("/", headers={"host": "evil.example\r\nx: y".replace("\r\n", "%0d%0a")})
    assert asked.status_code == 421


def test_the_page_only_reads_unless_it_is_allowed_to_run(client: TestClient) -> None:
    for deed in ("run", "stop"):
        assert client.post(f"/api/studies/small/{deed}", headers={"x-assay-token": ""}).status_code == 404


def test_numbers_in_pixels_are_checked(client: TestClient) -> None:
    good = np.zeros((8, 8), int).tolist()
    bad: list[object] = [
        np.zeros((8, 9), int).tolist(), [], "not base64!", [[1, [2]]], [["a"] * 8] * 8, np.full((8, 8), 256).tolist(),
        np.full((8, 8), -1).tolist(), np.full((8, 8), 0.5).tolist(), [[True] * 8] * 8, None, 7,
        [[10**400] * 8] * 8, np.zeros((8, 8, 3), int).tolist(),
    ]  # fmt: skip
    for image in bad:
        answer = client.post("/predict", json={"study": "small", "images": [good, image]})
        assert answer.status_code == 422, image
        assert "images" in answer.json()["error"]
    deep = '{"study": "small", "images": [' + "[" * 100_000 + "]" * 100_000 + "]}"
    for text in (deep, "{", "[]", '{"study": "small", "images": [[[NaN]]]}', "\xff"):
        answer = client.post("/predict", content=text.encode("latin-1"), headers={"content-type": "application/json"})
        assert answer.status_code == 422
    many = {"study": "small", "images": [good] * (limits.MAX_IMAGES + 1)}
    assert client.post("/predict", json=many).status_code == 422
