"""Studies in Python take the objects that they name: ``Training``, ``Optimizer``, functions and classes."""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import assay
from assay.errors import SpecError
from assay.spec import fingerprint, parse_study, study_toml

CODE = """
import torch
from torch.nn import functional


def cross(logits, labels):
    return functional.cross_entropy(logits, labels)


class Focal:
    def __init__(self, gamma=2.0):
        self.gamma = gamma

    def __call__(self, logits, labels):
        return functional.cross_entropy(logits, labels) ** self.gamma


def jitter(images, generator):
    return images


class Plain(torch.optim.SGD):
    def __init__(self, parameters, momentum=0.0):
        super().__init__(parameters, lr=1.0, momentum=momentum)
"""
LAYERS = ("flatten", "dense classes softmax")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ModuleType]:
    path = tmp_path / "my_parts.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location("my_parts", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["my_parts"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["my_parts"]


def study(training: Any, **values: Any) -> assay.Study:
    return assay.Study(
        data=assay.Data(name="digits"), network=assay.Network(layers=LAYERS), training=training, **values
    )


TRAINING = assay.Training(
    epochs=10,
    optimizer=assay.Optimizer(name="sgd", learning_rate=0.1, momentum=0.9),
    schedule=assay.Schedule(name="cosine", warmup_epochs=1),
    augmentation=assay.Augmentation(shift=1, flip="horizontal"),
    early_stopping=assay.EarlyStopping(patience=3),
    keep=assay.Best(best="validation_loss"),
)
TABLE: dict[str, Any] = {
    "epochs": 10,
    "optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9},
    "schedule": {"name": "cosine", "warmup_epochs": 1},
    "augmentation": {"shift": 1, "flip": "horizontal"},
    "early_stopping": {"patience": 3},
    "keep": {"best": "validation_loss"},
}


def test_a_training_object_is_its_table() -> None:
    """The same arms and the same fingerprints as from a file, and a file that says no more than what was set."""
    from_object, from_table = study(TRAINING), study(TABLE)
    assert from_object.expand() == from_table.expand()
    assert fingerprint(from_object.expand()[0].identity()) == fingerprint(from_table.expand()[0].identity())
    assert from_object.training == TABLE
    again = parse_study(study_toml(from_object), file="study.toml", name="study")
    assert again.expand() == from_object.expand()


def test_every_optimizer_and_schedule_is_written_as_short_as_it_was_set() -> None:
    for name, optimizer in [(name, assay.Optimizer(name=name)) for name in ("adam", "sgd", "rmsprop", "adadelta")]:  # type: ignore[arg-type]
        assert study(assay.Training(optimizer=optimizer)).training == {"optimizer": {"name": name}}
    schedule = assay.Schedule(name="step", every=3, factor=0.5)
    assert study({"schedule": schedule}).training == {"schedule": {"name": "step", "every": 3, "factor": 0.5}}


def test_tables_may_hold_objects_beside_placeholders() -> None:
    varied = study(
        {"epochs": "{epochs}", "optimizer": assay.Optimizer(name="sgd", momentum=0.5)}, factors={"epochs": [1, 2]}
    )
    assert [(arm.training.epochs, arm.training.optimizer.momentum) for arm in varied.expand()] == [(1, 0.5), (2, 0.5)]


def test_an_arm_says_only_what_it_sets() -> None:
    """A default that an arm names counts; one that it does not leaves the study's own."""
    arms = (
        assay.ArmTemplate(name="long", training=assay.Training(epochs=10)),
        assay.ArmTemplate(name="as the study", training=assay.Training(batch_size=32)),
    )
    expanded = study(assay.Training(epochs=3), arms=arms).expand()
    assert [(arm.training.epochs, arm.training.batch_size) for arm in expanded] == [(10, 128), (3, 32)]


def test_code_of_ones_own_is_named_by_the_object(own: ModuleType) -> None:
    file = own.__file__
    training = assay.Training(
        loss=functools.partial(own.Focal, gamma=1.5),
        augmentation=assay.Augmentation(own=own.jitter),
        optimizer=functools.partial(own.Plain, momentum=0.9),
    )
    assert training.loss == f"{file}:Focal(gamma=1.5)"
    assert training.augmentation is not None
    assert training.augmentation.own == f"{file}:jitter"  # the function itself, not what calling it returns
    assert training.optimizer.own == f"{file}:Plain(momentum=0.9)"
    assert assay.Training(loss=own.cross).loss == f"{file}:cross"
    assert assay.Training(optimizer=own.Plain).optimizer.own == f"{file}:Plain()"
    of_table = study({"loss": own.cross, "optimizer": own.Plain}).expand()[0].training
    assert (of_table.loss, of_table.optimizer.own) == (f"{file}:cross", f"{file}:Plain()")
    assert study(training).expand()[0].training == training


def test_such_a_study_trains(own: ModuleType, tmp_path: Path) -> None:
    training = assay.Training(epochs=1, loss=own.cross, optimizer=assay.Optimizer(own=own.Plain, learning_rate=0.01))
    result = assay.run(study(training, seeds=assay.Seeds(count=1)), store=tmp_path / "store", workers=1)
    assert list(result.frame()["state"]) == ["finished"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"optimizer": torch.optim.SGD}, "SGD is part of the package torch"),
        ({"optimizer": torch.optim.SGD([torch.zeros(1)])}, "optimizer: got an object of SGD; give a name"),
        ({"optimizer": 3}, "optimizer: got 3; give a name"),
        ({"loss": torch.nn.CrossEntropyLoss()}, "got an object of CrossEntropyLoss, which no run could make anew"),
        ({"loss": lambda logits, labels: 0}, "stands in no file of its own"),
    ],
)
def test_what_no_run_could_make_anew_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SpecError, match=sentence):
        assay.Training(**values)
    with pytest.raises(SpecError, match=sentence):
        study(values)
