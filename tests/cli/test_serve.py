"""assay serve, as far as it goes without a browser."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from assay.cli import main


def test_a_port_that_is_taken_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SystemExit) as ended:
        main(["serve", "--store", str(tmp_path), "--port", str(taken.getsockname()[1])])
    assert ended.value.code == 2
    assert "cannot be listened on" in capsys.readouterr().err


def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "assay", "serve", "--store", str(tmp_path / "store"), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = json.loads("".join(process.stdout.readline() for _ in range(3)))["url"]
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200
            assert "server" not in {name.lower() for name in answer.headers}
        with urllib.request.urlopen(f"{url}api/events") as stream:
            assert stream.readline().startswith(b"retry:")
            with pytest.raises(urllib.error.HTTPError, match="421"):
                urllib.request.urlopen(urllib.request.Request(url, headers={"host": "evil.example"}))
            process.send_signal(signal.SIGINT)  # while a page still listens
            assert process.wait(60) in (0, 130)
        told = process.stderr.read()
    assert "refused 421" in told
    assert "Traceback" not in told
    assert not (tmp_path / "store").exists()
