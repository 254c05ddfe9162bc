"""Commands on any terminal and in any place: other encodings, closed and full streams, a folder that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ..stored import put_study

ASSAY = [sys.executable, "-P", "-c", "from assay.cli import main; main()"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams")
    put_study(folder, {"a": [0.9, 0.91, 0.92], "b–ö": [0.8, 0.81, 0.79]})
    return folder


def assay_command(
    command: str, store: Path, *, redirect: str = "", cwd: Path | None = None, **environment: str
) -> tuple[int, bytes, bytes]:
    process = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {redirect}', "sh", *ASSAY, *command.split(), "--store", str(store)],
        env={**os.environ, **environment},
        cwd=cwd,
        capture_output=True,
    )
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "ascii", "utf-8"])
def test_every_encoding_shows_a_table(store: Path, encoding: str) -> None:
    code, output, errors = assay_command("status small", store, PYTHONIOENCODING=encoding)
    assert (code, errors) == (0, b"")
    table = output.decode(encoding)
    name = {"latin-1": "b-ö", "cp1252": "b–ö", "ascii": "b-o", "utf-8": "b–ö"}[encoding]
    assert f"{name}  3 of 3" in table


@pytest.mark.parametrize("redirect", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_error_and_reach_no_file(store: Path, redirect: str) -> None:
    before = {path: path.read_bytes() for path in store.iterdir() if path.suffix == ".sqlite"}
    code, _, errors = assay_command("runs small", store, redirect=redirect)
    assert (code, errors) == (0, b"")
    assert {path: path.read_bytes() for path in before} == before


def test_a_full_output_is_a_sentence(store: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code, _, errors = assay_command("status small", store, redirect="> /dev/full")
    assert code == 1
    assert errors == b"error: standard output cannot be written (No space left on device); send it elsewhere.\n"


def test_a_folder_that_is_gone_is_a_sentence_where_it_is_needed(store: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    leave = f'cd "{gone}" && rmdir "{gone}"'

    def from_gone(*arguments: str) -> subprocess.CompletedProcess[str]:
        gone.mkdir(exist_ok=True)
        command = ["/bin/sh", "-c", f'{leave} && exec "$@"', "sh", *ASSAY, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    assert from_gone("status", "small", "--store", str(store)).returncode == 0
    for arguments in (("status",), ("run", "first-look"), ("describe", "study.toml")):
        process = from_gone(*arguments)
        assert process.returncode in (1, 2)
        assert "Traceback" not in process.stderr
        assert process.stderr.startswith("error: ")


def test_an_empty_name_is_no_store() -> None:
    process = subprocess.run([*ASSAY, "status", "--store", ""], capture_output=True, text=True)
    assert process.returncode == 2
    assert "the folder's name is empty" in process.stderr
