"""The pages in a real browser, over a real server: drawn on, watched, and left without store or training."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.data import prepare, read_corrections
from assay.spec import Data, study_toml

from ..held import PATIENCE_SECONDS, Hold
from ..helpers import small_study

if not os.environ.get("CI"):  # there, what is missing is a failure
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed; pip install 'assay[test]'")
import playwright.sync_api as playwright

expect = playwright.expect
PATIENCE = 90_000  # milliseconds; on a busy machine everything takes its time
QUIET_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LAYERS = [
    "conv 8 5x5 relu",
    "maxpool 2",
    "layernorm",
    "conv 16 5x5 relu",
    "maxpool 2",
    "flatten",
    "dense classes softmax",
]


@contextlib.contextmanager
def serving(store: Path, *options: str) -> Iterator[str]:
    """``assay serve`` as a user starts it; its address."""
    command = [sys.executable, "-m", "assay", "serve", "--store", str(store), "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            text = ""
            while not text.rstrip().endswith("}"):
                line = process.stdout.readline()
                assert line, "the server did not start"
                text += line
            yield json.loads(text)["url"]
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(120) in (0, 130)


@contextlib.contextmanager
def training(store: Path, hold: Hold) -> Iterator[subprocess.Popen[bytes]]:
    """``assay run small.toml`` beside the store, with one worker; it ends with the block, whatever happens there."""
    command = [sys.executable, "-m", "assay", "run", "small.toml", "--store", str(store), "--no-report"]
    with subprocess.Popen(
        [*command, "--workers", "1"],
        cwd=store.parent,
        env={**os.environ, **hold.variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    """Chromium with a fresh profile, which Playwright makes for each launch, and without calls to its maker."""
    with playwright.sync_playwright() as engine:
        expect.set_options(timeout=PATIENCE)
        launched = engine.chromium.launch(executable_path=chromium, headless=True, args=QUIET_CHROMIUM)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    """A function that opens pages; nothing on them may have gone wrong, or be asked of another host."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    wrong: list[str] = []
    hosts: set[str] = set()

    def note(message: Any) -> None:
        is_loss = "Failed to load resource" in message.text or "ERR_" in message.text
        if message.type == "error" and not is_loss:
            wrong.append(message.text)

    def opened(url: str) -> Any:
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", note)
        page.on("request", lambda request: hosts.add(request.url.split("/")[2].split(":")[0]))
        page.goto(url)
        return page

    yield opened
    context.close()
    assert wrong == []
    assert hosts <= {"127.0.0.1", ""}


@pytest.fixture(scope="module")
def digits_store(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path, real_data: Path) -> Path:
    """Two networks that know MNIST's digits, from 4,000 of them."""
    store = tmp_path_factory.mktemp("digits") / "store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(shared_cache))
        patch.setenv("ASSAY_DATA", str(real_data))
        mnist = prepare(Data.of({"name": "mnist"})).training()
        data = assay.arrays(
            np.asarray(mnist.images[:4000]), np.asarray(mnist.labels[:4000]), classes=list("0123456789")
        )
        study = small_study(
            name="digits",
            data={**data.model_dump(exclude_none=True), "validation": 0.2},
            network={"layers": LAYERS},
            factors={},
            training={"epochs": 3, "batch_size": 32, "optimizer": {"name": "adam", "learning_rate": 0.003}},
        )
        assay.run(study, store=store)
    return store


def stroke(page: Any, points: list[tuple[float, float]]) -> None:
    """One stroke on the board, through points in shares of its sides."""
    box = page.locator("#pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for x, y in places[1:]:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


def test_a_seven_is_drawn_and_read(digits_store: Path, open_page: Any) -> None:
    with serving(digits_store) as url:
        page = open_page(f"{url}studies/digits/play")
        page.wait_for_selector("#pad:visible")
        stroke(page, [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)])
        expect(page.locator("#guess")).to_have_text("7")
        assert page.locator("#bars li").count() == 10
        shares = page.locator("#bars li .value").all_text_contents()
        assert max(range(10), key=lambda digit: float(shares[digit].rstrip(" %") or 0)) == 7
        assert page.locator("#bars li.top .dots i").count() == 2
        expect(page.locator("#spoken")).to_contain_text("7, ")
        expect(page.locator("#bars-note")).to_contain_text("of 2 on average); calibration error")
        expect(page.locator("#sure")).to_contain_text("Calibrated; uncalibrated ")
        # What the networks see is a seven too: ink in the upper left, none below it.
        ink = "([x, y]) => document.getElementById('seen').getContext('2d').getImageData(x, y, 4, 4).data[0]"
        assert page.evaluate(ink, [11, 8]) > 100
        assert page.evaluate(ink, [5, 22]) == 0

        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#guess")).to_have_text("–")

        # The same by keyboard: a one, straight down.
        page.locator("#pad").focus()
        page.keyboard.press("Space")
        for _ in range(22):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Space")
        expect(page.locator("#guess")).to_have_text("1")

        picked = page.locator("#picks button").first
        picked.click()
        expect(page.locator("#agree")).to_contain_text("label is")
        assert picked.get_attribute("aria-pressed") == "true"

        page.set_viewport_size({"width": 380, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 380


def test_a_study_is_watched_to_its_end(tmp_path: Path, open_page: Any) -> None:
    store = tmp_path / "store"
    layers = ["conv 4 3x3 relu", "layernorm", "maxpool 2", "dropout {rate}", "flatten", "dense classes softmax"]
    study = small_study(network={"layers": layers}, training={"epochs": 6, "batch_size": 64}, seeds={"count": 3})
    (tmp_path / "small.toml").write_text(study_toml(study))
    with serving(store) as url:
        page = open_page(url)
        page.wait_for_selector("#empty:visible")
        hold = Hold(tmp_path / "hold.json")
        hold.close(3, seed=2)
        with training(store, hold) as process:
            page.get_by_role("link", name="Does dropout help?").click()
            page.wait_for_selector("#pulse.live")
            expect(page.locator("#curves path").first).to_be_attached()
            hold.open()
            expect(page.locator("#counts")).to_contain_text("6 of 6 runs finished")
            assert process.wait(PATIENCE_SECONDS) == 0
        page.wait_for_selector("#answer .label")
        expect(page.locator("#answer")).to_contain_text("6 are needed")
        expect(page.locator("#strip circle, #strip rect")).to_have_count(6)
        assert page.locator("#runs tbody tr[data-place]").count() == 6
        assert page.locator("#pulse").text_content() == ""

        page.fill("#filter", "seed 2")
        assert page.locator("#runs tbody tr[data-place]").count() == 2
        page.fill("#filter", "")
        page.get_by_role("button", name="validation accuracy", exact=True).click()
        scores = page.locator("#runs tbody tr[data-place] td:nth-child(4)").all_text_contents()
        shares = [float(score.rstrip(" %")) for score in scores]
        assert shares == sorted(shares, reverse=True)
        boxes = page.locator("#runs tbody input")
        boxes.nth(0).check()
        boxes.nth(1).check()
        page.wait_for_selector("#compare svg")
        expect(page.locator("#compare thead th")).to_have_count(4)


def test_tabs_outlive_the_training_and_the_store(tmp_path: Path, open_page: Any) -> None:
    store = tmp_path / "store"
    layers = ["conv 4 3x3 relu", "layernorm", "flatten", "dense classes softmax"]
    study = small_study(network={"layers": layers}, factors={}, training={"epochs": 2}, seeds={"count": 2})
    hold = Hold(tmp_path / "hold.json")
    hold.close(1)
    (tmp_path / "small.toml").write_text(study_toml(study))
    with serving(store) as url, training(store, hold) as process:
        first = open_page(url)
        first.get_by_role("link", name="Does dropout help?").wait_for()
        tabs = [open_page(f"{url}studies/small") for _ in range(10)]  # more than a browser's connections to a host
        for tab in tabs:
            tab.wait_for_selector("#pulse.live")
        os.killpg(process.pid, signal.SIGKILL)
        for tab in tabs:
            tab.wait_for_selector("#pulse.halted")
            assert tab.locator("#runs tbody tr[data-place]").count() == 2
        shutil.rmtree(store)
        for tab in tabs:
            tab.wait_for_selector("#banner:visible")
            assert "there is no store here" in tab.locator("#banner").text_content()
            assert tab.locator("#runs tbody tr[data-place]").count() == 2  # what was shown stays
        tabs[0].close()  # it listened for all of them; another takes over
        once = study.model_copy(update={"name": "small", "training": {"epochs": 1, "batch_size": 512}})
        assay.run(once, store=store, workers=1)
        for tab in tabs[1:]:
            expect(tab.locator("#counts")).to_contain_text("2 of 2 runs finished")
            tab.wait_for_selector("#banner", state="hidden")


def test_labels_in_doubt_are_corrected_into_a_table(digits_store: Path, open_page: Any, tmp_path: Path) -> None:
    """Saved by the browser; the table is one that a study's data can name, and nothing else is written."""
    files = {path: path.stat().st_mtime_ns for path in digits_store.rglob("*") if path.is_file() and path.suffix != ""}
    with serving(digits_store) as url:
        page = open_page(f"{url}studies/digits/labels")
        items = page.locator(".doubts > li")
        items.first.wait_for()
        save = page.locator(".download")
        expect(save).to_be_disabled()
        first, second = items.nth(0), items.nth(1)
        suggested = first.locator("button").get_attribute("data-class")
        first.locator("button").click()
        second.locator("input").fill("no class")
        expect(page.locator(".count")).to_have_text("1 correction")
        other = "1" if second.get_attribute("data-label") == "0" else "0"
        second.locator("input").fill(other)
        expect(page.locator(".count")).to_have_text("2 corrections")
        with page.expect_download() as download:
            save.click()
        download.value.save_as(tmp_path / "corrections.csv")
        rows = read_corrections(tmp_path / "corrections.csv")
        assert [(row.image, row.label, row.corrected) for row in rows] == [
            (first.get_attribute("data-image"), first.get_attribute("data-label"), suggested),
            (second.get_attribute("data-image"), second.get_attribute("data-label"), other),
        ]
        # A second click takes the first back.
        first.locator("button").click()
        expect(page.locator(".count")).to_have_text("1 correction")
    data = assay.result("digits", store=digits_store).record.design.data
    table = str(tmp_path / "corrections.csv")
    before, after = (prepare(one).training().labels for one in (data, data.model_copy(update={"corrections": table})))
    assert (before != after).sum() == 2
    later = {path: path.stat().st_mtime_ns for path in digits_store.rglob("*") if path.is_file() and path.suffix != ""}
    assert {
        path for path in files if "-wal" not in path.name and "-shm" not in path.name and later.get(path) != files[path]
    } == set()


def test_a_drawing_becomes_a_c_file(digits_store: Path, open_page: Any, tmp_path: Path) -> None:
    with serving(digits_store) as url:
        page = open_page(f"{url}studies/digits")
        page.get_by_role("link", name="On a microcontroller").click()
        page.wait_for_selector("#pad:visible")
        expect(page.locator("#candidates tbody tr")).to_have_count(1)
        expect(page.locator("#download")).to_be_enabled()
        whole = page.locator("#candidates tbody td").nth(2).text_content()
        page.get_by_role("button", name="4 bits").click()
        expect(page.locator("#whole-what")).to_have_text("as C, weights of 4 bits")
        small = page.locator("#candidates tbody td").nth(2).text_content()
        assert int(small.replace(",", "")) < int(whole.replace(",", ""))
        page.get_by_label("Core").select_option("rv32ec")
        expect(page.locator("#facts")).to_contain_text("RISC-V RV32EC")
        stroke(page, [(0.3, 0.25), (0.7, 0.25), (0.45, 0.8)])
        expect(page.locator("#float-guess")).to_have_text("7")
        expect(page.locator("#whole-guess")).to_have_text("7")
        expect(page.locator("#bars-note")).to_contain_text("they agree. Its logits: ")
        with page.expect_download() as waited:
            page.get_by_role("button", name="Download model.zip").click()
        waited.value.save_as(tmp_path / "model.zip")
        with zipfile.ZipFile(tmp_path / "model.zip") as archive:
            assert archive.namelist() == ["model-int4.h", "example.c", "model-card.md"]
            archive.extractall(tmp_path)
        if shutil.which("gcc"):
            subprocess.run(["gcc", "-std=c99", "example.c", "-o", "example"], cwd=tmp_path, check=True, timeout=60)
            printed = subprocess.run([tmp_path / "example"], capture_output=True, text=True, check=True).stdout
            assert printed.endswith("answer: 7\n")
            logits = ", ".join(line.split()[0] for line in printed.splitlines()[:-1])
            assert f"Its logits: {logits}.".replace("-", "\N{MINUS SIGN}") in page.locator("#bars-note").text_content()
        page.set_viewport_size({"width": 380, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        page.reload()  # what was chosen stands in the address
        expect(page.locator("#whole-what")).to_have_text("as C, weights of 4 bits")
