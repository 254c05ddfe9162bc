"""The tutorials, run as a reader types them: with fewer epochs, seeds and arms."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from starlette.testclient import TestClient

import assay
from assay.web import make_app

from .tutorial import blocks_of, run_assay, run_tutorial, without_report
from .web.conftest import HOSTS, URL
from .web.test_playground import png_of

BRIEF = {"assay run": without_report, "pip install": lambda words: None}


@pytest.fixture
def keras_as_it_was() -> Iterator[None]:
    """The page records Keras; nothing after it does."""
    yield
    assay.capture().stop()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning", "ignore::UserWarning:keras")
@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")
@pytest.mark.usefixtures("keras_as_it_was")
def test_a_notebook_comes_to_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_STORE", raising=False)

    def convert(words: list[str]) -> None:
        """Of the notebook without Assay's cells."""
        cells = [block.content for block in blocks_of("notebook") if block.language == "python"][1:3]
        cells = [{"cell_type": "code", "source": cell.replace("epochs=10", "epochs=1")} for cell in cells]
        Path("digits.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
        run_assay(words)

    names = run_tutorial(
        "notebook",
        shorter={"epochs=10": "epochs=1", "seeds=10": "seeds=2", "report()": "report(explanations=())"},
        programs={
            "pip install": lambda words: None,
            "assay convert": convert,
            "assay run": lambda words: without_report([*words, "--seeds", "1"]),
        },
    )
    assert set(names["result"].frame().arm) == {
        f"dropout={dropout}, learning_rate={rate}" for dropout in ("0", "0.5") for rate in ("0.001", "0.005")
    }
    assert list(Path("assay-store/reports").glob("sequential*.html"))  # Keras numbers the models of a process
    assert "not enough seeds for a verdict" in capsys.readouterr().out


def test_an_ablation_comes_to_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    run_tutorial(
        "ablation",
        shorter={"epochs = 20": "epochs = 1", "count = 15": "count = 3"},
        programs={**BRIEF, "assay reveal": lambda words: run_assay([*words, "--yes"])},
    )
    tables = Path("tables.tex").read_text(encoding="utf-8")
    (shown,) = [block.content for block in blocks_of("ablation") if block.content.startswith(r"\begin{table}")]
    assert r"\label{tab:ablation-effects}" in shown
    assert shown.partition(r"\begin{tabular}")[0] in tables
    assert Path("interaction.pdf").read_bytes().startswith(b"%PDF")
    assert "@misc{alpaydin1998optical" in Path("references.bib").read_text(encoding="utf-8")
    assert Path("archive/store.sqlite").exists()
    assert Path("network/network.py").exists()
    assert "Looks at the test split so far: 1" in capsys.readouterr().out


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


@pytest.fixture
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a reader begins: in an empty folder, with the store in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.usefixtures("in_a_folder_of_its_own")
def test_own_images_become_a_small_onnx_model(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    shorter = {"epochs = 20": "epochs = 2", "count = 8": "count = 1"}
    run_tutorial("own-images", shorter=shorter, programs=BRIEF)
    printed = capsys.readouterr().out
    assert "8/1250.png" in printed  # the look names it, as the page does
    assert re.fullmatch(r"\d 0\.\d+", printed.splitlines()[-1])
    sizes = [(Path("photos-onnx") / f"model{coding}.onnx").stat().st_size for coding in ("", "-int8", "-int4")]
    assert sizes == sorted(sizes, reverse=True)
    assert "test images" in Path("photos-onnx/model-card.md").read_text()
    assert len(Path("answers.csv").read_text().splitlines()) == 360


@pytest.mark.usefixtures("in_a_folder_of_its_own")
def test_a_search_keeps_to_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("optuna")
    shorter = {
        "epochs = 27": "epochs = 3", "min_epochs = 3": "min_epochs = 1", "trials = 27": "trials = 6",
        "finalists = 3": "finalists = 2", "count = 8": "count = 1",
    }  # fmt: skip
    trials = run_tutorial("search", shorter=shorter, programs=BRIEF)["trials"]
    assert len(trials) == 6
    assert trials["parameters"].max() <= 3000
    printed = capsys.readouterr().out
    assert "over budget" in printed
    assert "optimism" in printed
    assert "Looks at the test split so far: 1" in printed


@pytest.mark.ray
@pytest.mark.usefixtures("two_nodes", "in_a_folder_of_its_own")
def test_a_cluster_trains_the_same_weights(capsys: pytest.CaptureFixture[str]) -> None:
    """On the tests' cluster of two nodes, which stays."""
    begun: list[list[str]] = []
    shorter = {"epochs = 20": "epochs = 2", "count = 10": "count = 1"}
    run_tutorial("cluster", shorter=shorter, programs={**BRIEF, "ray": begun.append})
    assert [words[1] for words in begun] == ["start", "stop"]
    assert "\nTrue\n" in capsys.readouterr().out
