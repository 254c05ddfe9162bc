"""What `assay convert` says of PyTorch scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import assay.api
from assay.errors import SpecError

SCRIPT = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3)

class Net(nn.Module):
    def __init__(self, width, num_classes=10, *, rate):
        super().__init__()
        self.block = Block(width)

class Wide(Net):
    pass

{use}
raise SystemExit("nothing here is run")
"""


def said(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        assay.api.convert(path)
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_it_names_the_modules_and_the_line_of_a_study(tmp_path: Path) -> None:
    message = said(tmp_path / "train.py", SCRIPT.format(use="model = Net(16, rate=0.5).to('cpu')"))
    assert "Block (line 5), Net (line 10), Wide (line 15)" in message
    assert """layers = ['module "train.py:Net(16, rate=0.5)"']""" in message
    assert "train.py:Block" not in message
    assert "what line 19 does would run with every import" in message


def test_arguments_that_only_running_would_give_are_left_open(tmp_path: Path) -> None:
    message = said(tmp_path / "train.py", SCRIPT.format(use="model = Net(args.width, rate=0.5)"))
    assert 'train.py:Net(width=..., rate=...)"' in message


def test_a_notebook_is_to_be_written_to_a_file(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "source": SCRIPT.format(use="")}]
    message = said(tmp_path / "notes.ipynb", json.dumps({"cells": cells}))
    assert "%%writefile notes.py" in message
