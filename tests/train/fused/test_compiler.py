"""A kernel is written once, compiled once, and loaded by other processes."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from assay import disk
from assay.errors import DiskFull
from assay.train.fused import compiler
from assay.train.fused.compiler import Kernel

PARAMETERS = "x[] vectors"
SOURCE = """    for k in range(vectors * part // parts, vectors * (part + 1) // parts):
        store_f(x, 16 * k, add(load_f(x, 16 * k), load_f(x, 16 * k)))
"""
IN_ANOTHER_PROCESS = """
import json, sys
import numpy as np
from assay.train.fused.compiler import compiled
kernel = compiled("twice", "x[] vectors", sys.argv[1])
x = np.ones(16, np.float32)
kernel(0, 1, x, 1)
print(json.dumps([x.tolist(), kernel.machine.is_cached]))
"""


@pytest.fixture
def kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASSAY_KERNELS", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


def compiled_anew(name: str, source: str) -> Kernel:
    """As in a process that has not asked for it yet."""
    kernel = compiler._compiled.__wrapped__(name, PARAMETERS, source, ())
    compiler.load([kernel])
    return kernel  # type: ignore[no-any-return]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.o") if path.is_file())


def test_kernels_are_kept_in_the_named_folder_or_in_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ASSAY_KERNELS", str(tmp_path))
    assert compiler.folder().parent == tmp_path
    monkeypatch.delenv("ASSAY_KERNELS")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    assert compiler.folder().parent == tmp_path / "cache" / "assay" / "kernels"


def test_a_kernel_is_written_once(kernels: Path) -> None:
    compiled_anew("twice", SOURCE)
    (path,) = files(kernels)
    os.utime(path, ns=(10**18, 10**18))
    compiled_anew("twice", SOURCE)
    assert files(kernels) == [path]
    assert path.stat().st_mtime_ns == 10**18
    assert not list(kernels.rglob("*.tmp"))


def test_one_process_asks_the_disk_once(kernels: Path) -> None:
    source = SOURCE.replace("twice", "doubled")
    one = compiler.compiled("doubled", PARAMETERS, source)
    compiler.load([one])
    files(kernels)[0].unlink()
    assert compiler.compiled("doubled", PARAMETERS, source) is one


def test_changed_source_is_another_file(kernels: Path) -> None:
    one = compiled_anew("twice", SOURCE)
    other = compiled_anew("twice", SOURCE.replace("add", "mul"))
    assert len(files(kernels)) == 2
    x, y = (np.full(16, 3, np.float32) for _ in "xy")
    one(0, 1, x, 1)
    other(0, 1, y, 1)
    assert (x[0], y[0]) == (6, 9)


def test_changed_operations_or_versions_are_another_folder(kernels: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = compiler.folder()
    try:
        for change in ("version", "vectors"):
            compiler._code_version.cache_clear()
            with monkeypatch.context() as patch:
                if change == "version":
                    patch.setattr(compiler, "version", lambda name: "another")
                else:
                    path = kernels.parent / "vectors.py"
                    path.write_text("# other operations")
                    patch.setattr(compiler, "_SOURCES", [path, *compiler._SOURCES[1:]])
                assert compiler.folder() != before
                assert compiler.folder().parent == before.parent
    finally:
        compiler._code_version.cache_clear()
    assert compiler.folder() == before


def test_every_module_with_kernels_is_part_of_the_folders_name() -> None:
    """A kernel's file only names the function that it calls; if its module were not hashed, stale code would run."""
    package = Path(compiler.__file__).parent
    with_kernels = {path.name for path in package.glob("*.py") if "\n@kernel(" in path.read_text()}
    assert "packing.py" in with_kernels
    assert with_kernels <= set(compiler._CODE)


def test_another_process_loads_machine_code(kernels: Path) -> None:
    def elsewhere() -> tuple[list[float], bool]:
        completed = subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, SOURCE], capture_output=True, text=True, check=True
        )
        x, hits = json.loads(completed.stdout)
        return x, hits

    doubled = [2.0] * 16
    assert elsewhere() == (doubled, False)
    assert elsewhere() == (doubled, True)
    assert len(files(kernels)) == 1


SEVERAL = """
import sys
from assay.train.fused.compiler import compiled, load
sources = [sys.argv[1].replace("add", "mul", n % 2) + f"    {n}\\n" for n in range(6)]
kernels = [compiled(f"times{n}", "x[] vectors", source) for n, source in enumerate(sources)]
print("ready", flush=True)
sys.stdin.readline()
load(kernels)
print(sum(not kernel.machine.is_cached for kernel in kernels))
"""


def test_processes_at_the_same_time_compile_each_kernel_once(kernels: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SEVERAL, SOURCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    numbers = [int(process.communicate("go\n")[0]) for process in processes]
    assert sum(numbers) == 6
    assert not list(kernels.rglob("*.claim"))


@pytest.mark.parametrize("is_old", [True, False])
def test_a_claim_of_a_process_that_was_ended_is_passed_over(kernels: Path, is_old: bool) -> None:
    """At once on the same machine; elsewhere, as in a shared folder, after a minute."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    kernel = compiler._compiled.__wrapped__("twice", PARAMETERS, SOURCE, ())
    claim = compiler._claim_file(kernel)
    claim.parent.mkdir(parents=True)
    claim.write_text("1 another-machine" if is_old else f"{ended.pid} {platform.node()}")
    if is_old:
        os.utime(claim, (0, 0))
    started = time.monotonic()
    compiler.load([kernel])
    assert time.monotonic() - started < compiler._CLAIM_SECONDS / 2
    assert kernel.is_loaded
    assert not claim.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported(kernels: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", full)
        with pytest.raises(DiskFull, match=r"no space is left|your quota"):
            compiled_anew("twice", SOURCE)
    assert not [path for path in kernels.rglob("*") if path.is_file()]
    compiled_anew("twice", SOURCE)  # and it goes on once there is room
    assert len(files(kernels)) == 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_where_nothing_may_be_written_kernels_are_kept_in_memory(
    kernels: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*arguments: object, **named: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(compiler.disk, "write", refused)
    x = np.full(16, 3, np.float32)
    compiled_anew("twice", SOURCE)(0, 1, x, 1)
    assert x.tolist() == [6.0] * 16
    assert not files(kernels)


def test_parameters_are_read_from_their_words() -> None:
    names = [(p.name, p.kind, p.dimensions) for p in compiler.parameters_of("x[] s[double] n rate:real images[byte 4]")]
    assert names == [("x", "float", 0), ("s", "double", 0), ("n", "int", 0), ("rate", "real", 0), ("images", "byte", 4)]


def test_a_kernel_receives_its_arguments(kernels: Path) -> None:
    body = """    for i in range(table.shape[0]):
        for j in range(table.shape[1]):
            found[i] += table[i, j] * rate + count
"""
    kernel = compiler.compiled("gathered", "table[double 2] found[double] count rate:real", body)
    table, found = np.arange(6.0).reshape(2, 3), np.zeros(2)
    kernel(0, 1, table, found, 7, 0.5)
    assert found.tolist() == (table * 0.5 + 7).sum(1).tolist()
    with pytest.raises(TypeError, match="gathered takes 4 arguments, got 1"):
        kernel(0, 1, table)
