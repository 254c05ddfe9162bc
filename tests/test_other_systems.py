"""Without what only POSIX has: it is taken away, also in every process that is started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from assay.system import Lines, ending, interrupt, own_group

# What Windows lacks. ``subprocess`` and Python's own modules keep what they have taken before.
WITHOUT_POSIX = """
import filelock, platformdirs, multiprocessing, os, psutil, selectors, signal, subprocess, sys, tempfile, threading
for name in ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty"):
    sys.modules[name] = None
subprocess.Popen.kill = lambda process: os.kill(process.pid, 9)
for name in ("killpg", "getuid", "geteuid", "sched_getaffinity", "fork", "setsid", "mkfifo", "nice"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGALRM", "SIGHUP", "SIGQUIT", "SIGUSR1", "setitimer", "alarm", "pthread_sigmask"):
    if hasattr(signal, name):
        delattr(signal, name)

def refuse(*arguments, **named):
    raise OSError("an operation was attempted on something that is not a socket")

selectors.DefaultSelector.register = refuse
psutil.Process.memory_info = lambda process, info=psutil.Process.memory_info: type(
    "pmem", (), {**info(process)._asdict(), "peak_wset": 123456789}
)()
"""
STUDY = """
[data]
name = "digits"

[network]
layers = ["conv 4 3x3 relu", "maxpool 2", "flatten", "dense classes softmax"]

[training]
epochs = 1

[seeds]
count = 2
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that finds nothing that is POSIX's alone, nor its children."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT_POSIX)
    search = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": search}


def assay(*words: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "assay", *words], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_a_study_trains_and_is_read(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    trained = assay("run", "study.toml", "--json", "--no-report", folder=tmp_path, environment=elsewhere)
    assert trained.returncode == 0, trained.stderr
    status = assay("status", "study", "--json", folder=tmp_path, environment=elsewhere)
    assert status.returncode == 0, status.stderr
    runs = assay("runs", "study", "--json", folder=tmp_path, environment=elsewhere)
    records = json.loads(runs.stdout)
    assert [record["state"] for record in records] == ["finished"] * 2
    assert {record["peak_memory_bytes"] for record in records} == {123456789}


def test_running_a_files_code_is_refused_where_it_cannot_be_limited(tmp_path: Path, elsewhere: dict[str, str]) -> None:
    (tmp_path / "train.py").write_text("import keras\n")
    refused = assay("convert", "--run", "train.py", folder=tmp_path, environment=elsewhere)
    assert refused.returncode != 0
    assert "needs limits of memory and time that this system does not have" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


def test_lines_of_several_pipes_come_whole_and_each_end_once() -> None:
    lines: Lines[str] = Lines()
    codes = {"talks": "print('one'); print('two')", "dies": "import os; os.write(1, b'whole\\nha'); os._exit(3)"}
    processes = {}
    for name, code in codes.items():
        processes[name] = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        pipe = processes[name].stdout
        assert pipe is not None
        lines.add(name, pipe)
    heard: dict[str, list[bytes | None]] = {"talks": [], "dies": []}
    while sum(None in said for said in heard.values()) < 2:
        for name, line in lines.wait(30):
            heard[name].append(line if line is None else line.rstrip())
    assert heard == {"talks": [b"one", b"two", None], "dies": [b"whole", None]}
    assert lines.wait(0) == []
    assert {name: process.wait() for name, process in processes.items()} == {"talks": 0, "dies": 3}


def test_how_a_process_ended_is_told() -> None:
    assert ending(-9) == ("its process was killed, which systems do when memory runs out", True)
    assert ending(-11) == ("its process ended by signal SIGSEGV", False)
    assert ending(3221225477) == ("its process ended with code 3221225477", False)  # Windows has no signals


def test_a_process_of_its_own_group_can_be_interrupted() -> None:
    code = "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(60)\n"
    code += "except KeyboardInterrupt:\n    print('stopped')"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, **own_group())
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert os.getpgid(process.pid) == process.pid
    interrupt(process)
    assert process.communicate(timeout=30)[0] == "stopped\n"
