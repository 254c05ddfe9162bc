"""The tutorial's commands, in their order, on its own study: as a reader would type them."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

from assay.web import make_app

from .tutorial import run_tutorial
from .web.conftest import HOSTS, URL
from .web.test_playground import png_of


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc here")
def test_a_drawing_becomes_a_c_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], digit_image: Any
) -> None:
    """With fewer epochs, seeds and arms; the browser's part by its requests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    printed: list[str] = []
    logits: list[int] = []

    def serve(_: list[str]) -> None:
        logits.extend(download(digit_image))

    def unzip(words: list[str]) -> None:
        with zipfile.ZipFile(words[-1]) as archive:
            archive.extractall()

    def start(words: list[str]) -> None:
        done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
        printed.extend(done.stdout.splitlines())

    run_tutorial(
        "bytes",
        shorter={"epochs = 60": "epochs = 2", "count = 8": "count = 1", "[2, 4, 8]": "[2, 4]"},
        programs={"assay serve": serve, "unzip": unzip, "gcc": start, "./example": start},
    )
    assert [int(row.split()[0]) for row in printed[:-1]] == logits
    assert re.fullmatch(r"answer: \d", printed[-1])
    assert "As C" in capsys.readouterr().out
    assert Path("chip-c/model-int4.h").exists()


def download(image: Any) -> list[int]:
    """What the page does: a choice, a drawing, a file. The logits that it shows."""
    headers, query = {"content-type": "image/png"}, "coding=int8&kind=drawing"
    with TestClient(make_app(Path("assay-store"), HOSTS), base_url=URL) as client:
        candidates = client.get("/api/studies/chip/bytes").json()["candidates"]
        assert len(candidates) == 2
        query += f"&arm={candidates[0]['arm']}"
        shown = client.post(f"/api/studies/chip/bytes/image?{query}", content=png_of(image), headers=headers).json()
        reply = client.post(f"/api/studies/chip/bytes/file?{query}", content=png_of(image), headers=headers)
        Path("model.zip").write_bytes(reply.content)
    return shown["logits"]


@pytest.fixture
def digit_image() -> Any:
    """A seven of two strokes, as the board sends it."""
    board = Image.new("L", (280, 280))
    ImageDraw.Draw(board).line([(84, 70), (196, 70), (126, 224)], fill=255, width=22)
    return np.asarray(board)
