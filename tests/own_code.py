"""Modules of a user's own, as tests write them into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from assay.spec import Study

CONVNET = """
import torch
from torch import nn
from torch.nn import functional as F


class ConvNet(nn.Module):
    def __init__(self, width=4, rate=0.2):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(rate)
        self.head = nn.Linear(width * 9, 10)

    def forward(self, x):
        x = F.max_pool2d(self.relu(self.norm(self.conv(x))), 2)
        return self.head(self.dropout(x.flatten(1)))
"""


def write(folder: Path, text: str = CONVNET, name: str = "my_nets.py") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text)
    return path


def own_study(path: Path, call: str = "ConvNet(width={width})", **changes: Any) -> Study:
    values = {
        "name": "own",
        "question": "Does width help?",
        "data": {"name": "digits", "validation": 0.2},
        "network": {"module": f"{path}:{call}"},
        "factors": {"width": [4, 6]},
        "training": {"epochs": 2, "batch_size": 64},
        "seeds": {"count": 1},
        **changes,
    }
    return Study.of({key: value for key, value in values.items() if value is not None})
