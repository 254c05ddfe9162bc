"""The example notebooks: they run from top to bottom, and what is stored of them is theirs and nobody's machine's."""

from __future__ import annotations

import base64
import importlib.util
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest

import assay
from assay.cli import main
from assay.data import prepare
from assay.spec import Data

EXAMPLES = Path(__file__).parent.parent / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))


def script() -> Any:
    spec = importlib.util.spec_from_file_location("execute_examples", EXAMPLES / "execute.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def texts(cell: Any) -> str:
    """All that a cell's outputs show as text."""
    parts = [output.get("text", "") for output in cell.get("outputs", [])]
    return "\n".join([*parts, *(str(v) for output in cell.get("outputs", []) for v in output.get("data", {}).values())])


def read(name: str) -> Any:
    return nbformat.read(EXAMPLES / name, as_version=4)  # type: ignore[no-untyped-call]


def test_there_is_one_for_each_door() -> None:
    assert NOTEBOOKS == ["from-keras.ipynb", "own-images.ipynb", "own-module.ipynb"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two epochs and two seeds, in a kernel of its own with worker processes: no cell fails."""
    if name == "from-keras.ipynb" and importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed")
    execute = script()
    notebook = read(name)
    for cell in notebook.cells:
        cell.source = re.sub(r"\b(epochs|count|seeds)(\"?[=:] ?)\d+", r"\g<1>\g<2>2", cell.source)
    path = tmp_path / name
    nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    monkeypatch.delenv("ASSAY_STORE")
    folder = tmp_path / "folder"
    folder.mkdir()
    done = execute.clean(execute.executed(path, folder), folder)
    shown = "\n".join(map(texts, done.cells))
    assert "runs done" in shown
    assert "<circle" in shown  # the result's picture
    link = re.search(r'href="(assay-store/reports/[\w.-]+\.html)"', shown)
    assert link is not None
    assert (folder / link[1]).exists()
    live = [output for cell in done.cells for output in cell.get("outputs", []) if "assay-progress" in str(output)]
    assert len(live) == 1  # one output, however often it was updated
    assert str(tmp_path) not in shown


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_stored_outputs_are_whole_and_of_no_machine(name: str) -> None:
    notebook = read(name)
    nbformat.validate(notebook)  # type: ignore[no-untyped-call]
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))  # top to bottom, once
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
    shown = "\n".join(map(texts, cells))
    assert "runs done" in shown
    assert "<circle" in shown
    for place in ("/home/", "/tmp/", "/root/", "/work/", "/Users/", "site-packages", "file://"):
        assert place not in shown
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", shown)
    assert all(base64.b64decode(picture).startswith(b"\x89PNG") for picture in pictures)
    words = re.sub(r"base64,[A-Za-z0-9+/=…]+", "", shown)
    assert not re.search(r"(?<![\w.#%-])\d[\d.]* ?(s|ms|min)(?![\w/%-])", words)
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert set(notebook.metadata) == {"kernelspec"}
    assert (EXAMPLES / name).stat().st_size < 400_000


def test_what_belongs_to_a_machine_is_taken_out(tmp_path: Path) -> None:
    execute = script()
    clean = execute._without_machine
    assert clean(f"{tmp_path}/a.png in 3.25 s, 12 of 12 runs", tmp_path) == "a.png in … s, 12 of 12 runs"
    assert clean("done, 1 min 20 s, about 2 h 5 min left", tmp_path) == "done, … s, about … s left"
    picture = '<img src="data:image/png;base64,iVBOR/5s+3h=">'
    assert clean(f"{picture} in 5 s", tmp_path) == f"{picture} in … s"
    assert clean("12ms/step 0.5 % 95 % 3x3 6 seeds", tmp_path) == "… s 0.5 % 95 % 3x3 6 seeds"


def chest_x_rays(path: Path) -> Path:
    """A file of the tutorial's form, made of digits: rare zeros are "healthy", with another share in each part."""
    digits = prepare(Data(name="digits")).training()
    labels = (np.asarray(digits.labels) != 0).astype(np.uint8)
    images = np.pad(np.kron(digits.images[..., 0], np.ones((1, 3, 3), np.uint8)), ((0, 0), (2, 2), (2, 2)))
    zeros, others = np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)
    parts = {
        "train": [*zeros[:50], *others[:450]], "val": [*zeros[50:90], *others[450:560]],
        "test": [*zeros[90:140], *others[560:640]],
    }  # fmt: skip
    arrays = {f"{name}_images": images[np.sort(places)] for name, places in parts.items()}
    arrays |= {f"{name}_labels": labels[np.sort(places)][:, None] for name, places in parts.items()}
    np.savez(path, **arrays)
    return path


@pytest.mark.slow
def test_the_x_ray_example_goes_from_a_file_to_a_decision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On a file of the same form, made of digits: rare zeros are "healthy", and another share of them in each part."""
    made = chest_x_rays(tmp_path / "made.npz")
    spec = importlib.util.spec_from_file_location("xray_example", EXAMPLES / "xray.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path / "out"
    module.main([str(made), "--output", str(folder), "--seeds", "6", "--epochs", "2"])
    said = capsys.readouterr().out
    assert said == (folder / "summary.md").read_text()
    assert "50 healthy, 450 ill" not in said  # validation images are counted, too
    assert "90 healthy, 560 ill" in said
    assert "does not say which images are of one patient" in said
    for part in (
        "validation balanced accuracy",
        "test balanced accuracy",
        "test macro AUC",
        "On test images it is found in",
    ):
        assert part in said
    assert "All corruptions: " in said
    assert (folder / "report.html").exists()
    assert "balanced accuracy | the mean of its arm, test images" in (folder / "network" / "model-card.md").read_text()
    (study,) = assay.studies(folder / "store")
    assert len(assay.result(study, store=folder / "store").record.looks) == 1  # the sealed images were opened once


@pytest.mark.slow
def test_the_x_ray_tutorial_s_commands_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a file of the same form, with half the seeds and without the question before the test split."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASSAY_STORE", raising=False)
    chest_x_rays(Path("pneumonia_imbalanced.npz"))
    page = (EXAMPLES.parent / "docs" / "tutorials" / "xray.md").read_text()
    commands = [line for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    names = [line.split()[1] for line in commands if line.startswith("assay ")]
    assert names == ["data", "run", "compare", "compare", "threshold", "robustness", "reveal", "compare", "threshold",
                     "report", "export"]  # fmt: skip
    extra = {"run": ["--seeds", "6"], "robustness": ["--images", "50"], "reveal": ["--yes"]}
    for line in commands:
        program, *arguments = line.split()
        if program != "assay":
            continue
        with pytest.raises(SystemExit) as end:
            main([*arguments, *extra.get(arguments[0], [])])
        assert end.value.code in (0, None), f"{line}: {capsys.readouterr().err}"
    assert Path("network/model-card.md").exists()
    assert Path("network/model.onnx").exists()
