"""Small studies that train in a second, and the comparison of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from assay.data import prepare
from assay.runner import make_plan
from assay.spec import Study
from assay.train import Task

LAYERS = ["conv 4 3x3 relu", "batchnorm", "maxpool 2", "dropout {rate}", "flatten", "dense classes softmax"]


def small_study(**changes: Any) -> Study:
    values = {
        "name": "small",
        "question": "Does dropout help?",
        "data": {"name": "digits", "validation": 0.2},
        "network": {"layers": LAYERS},
        "factors": {"rate": [0.0, 0.3]},
        "training": {"epochs": 2, "batch_size": 64},
        "seeds": {"count": 2},
        **changes,
    }
    return Study.of(values)


def based_study(**changes: Any) -> Study:
    """Digits of 8 x 8 on the first block of a SqueezeNet that sees 20 x 20, frozen and not, with weights drawn."""
    base = {"name": "squeezenet", "weights": "random", "until": "block1", "size": 20, "train": "{train}"}
    # Odd channels as a vector, which kernels do not take: nothing has to be compiled.
    layers = ["conv 5 1x1 relu", "flatten", "layernorm", "dense classes softmax"]
    values = {
        "name": "based",
        "network": {"base": base, "layers": layers},
        "factors": {"train": ["none", "all"]},
        "training": {"epochs": 1, "batch_size": 64},
        "seeds": {"count": 1},
        **changes,
    }
    return small_study(**values)


def tasks_of(study: Study, store: Path) -> tuple[Task, ...]:
    store.mkdir(parents=True, exist_ok=True)  # a worker makes a run's folder, never the store's
    return make_plan(study, prepare(study.data), store).tasks


def output_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command prints; it must succeed."""
    from assay.cli.main import main

    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    output, errors = capsys.readouterr()
    assert not ended.value.code, errors
    return output


def same_weights(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two sets of tensors have the same names, shapes and bits."""

    def facts(tensors: dict[str, Tensor]) -> dict[str, tuple[Any, ...]]:
        return {
            name: (value.dtype, value.shape, value.detach().contiguous().numpy().tobytes())
            for name, value in tensors.items()
        }

    return facts(one) == facts(other)
