"""A loss, an augmentation and an optimizer of one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.data import open_training
from assay.errors import SpecError
from assay.runner import RunInfo
from assay.spec import Study
from assay.train.engine import batch_of, train
from assay.train.epochs import EpochRecord

from .helpers import same_weights, tasks_of
from .own_code import own_study, write

CODE = """
import numpy
import torch
from torch.nn import functional as F

CALLS = []


def crossentropy(logits, labels):
    return F.cross_entropy(logits, labels)


class Focal:
    def __init__(self, gamma=2.0):
        self.gamma = gamma

    def __call__(self, logits, labels):
        losses = F.cross_entropy(logits, labels, reduction="none")
        return (1 - torch.exp(-losses)) ** self.gamma * losses


class Learned(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, logits, labels):
        return self.weight * F.cross_entropy(logits, labels)


def counted(logits, labels):
    CALLS.append(1)
    return F.cross_entropy(logits, labels) * len(CALLS)


def invert(share=0.5):
    def change(images, generator):
        chosen = torch.rand(len(images), generator=generator) < share
        return torch.where(chosen[:, None, None, None], 255 - images, images)
    return change


def careless(images, generator):
    return images + torch.randint(0, 2, images.shape, dtype=torch.uint8)


def floats(images, generator):
    return images / 255


class Sign(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, beta=0.9):
        super().__init__(params, {"lr": lr, "beta": beta})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state[parameter]
                if not state:
                    state["steps"], state["mean"] = 0, torch.zeros_like(parameter)
                state["steps"] += 1
                state["mean"].lerp_(parameter.grad, 1 - group["beta"])
                parameter.sub_(group["lr"] / state["steps"] ** 0.5 * state["mean"].sign())


class Forgetful(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, {"lr": lr})
        self.steps = 0

    @torch.no_grad()
    def step(self):
        self.steps += 1
        for parameter in self.param_groups[0]["params"]:
            parameter.sub_(self.param_groups[0]["lr"] / self.steps * parameter.grad)


class Double(torch.optim.Optimizer):  # load_state_dict brings its float64 state to the parameters' float32
    def __init__(self, params, lr=1e-3):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for parameter in self.param_groups[0]["params"]:
            mean = self.state[parameter].setdefault("mean", torch.zeros(parameter.numel(), dtype=torch.float64))
            mean.mul_(0.9).add_(parameter.grad.flatten())
            size = torch.dot(mean, parameter.grad.flatten().double())
            parameter.sub_(self.param_groups[0]["lr"] * size.float() * parameter.grad)


def adam(params, amsgrad=False):
    return torch.optim.Adam(params, amsgrad=amsgrad)
"""
LAYERS = ["conv 4 3x3 relu", "flatten", "dense classes softmax"]


def study_of(folder: Path, **training: Any) -> Study:
    path = write(folder, CODE, "my_code.py")
    named = {
        key: value.replace("CODE", str(path))
        if isinstance(value, str)
        else {k: v.replace("CODE", str(path)) if isinstance(v, str) else v for k, v in value.items()}
        for key, value in training.items()
        if isinstance(value, str | dict)
    }
    settings = {"epochs": 3, "batch_size": 32, "precision": "float32", **training, **named}
    return own_study(path, network={"layers": LAYERS}, factors={}, training=settings)


def test_a_loss_of_ones_own_trains(tmp_path: Path) -> None:
    """Cross-entropy is a focal loss with gamma 0, and none with gamma 2."""
    weights = []
    for study in (
        study_of(tmp_path, loss="CODE:crossentropy"),
        study_of(tmp_path, loss="CODE:Focal(gamma=0.0)"),
        study_of(tmp_path, loss="CODE:Focal()"),
    ):
        assay.describe(study)
        (task,) = tasks_of(study, tmp_path / "store")
        weights.append(train(task, open_training(task.images, task.labels, task.groups)).weights)
    for name, value in weights[0].items():
        np.testing.assert_allclose(value.numpy(), weights[1][name].numpy(), atol=1e-5)
    assert not np.allclose(weights[0]["conv1.kernel"].numpy(), weights[2]["conv1.kernel"].numpy(), atol=1e-4)
    result = assay.run(study_of(tmp_path, loss="CODE:Focal()"))
    (run,) = result.record.runs
    assert run.environment["path"] == "plain"
    assert run.epochs[-1].validation_accuracy > 0.8
    assert run.epochs[-1].running_loss < run.epochs[-1].train_loss  # a focal loss lies below cross-entropy
    result.report(tmp_path / "report.html")
    assert "Own loss, my_code.py:Focal" in (tmp_path / "report.html").read_text()


def test_an_augmentation_of_ones_own(tmp_path: Path) -> None:
    study = study_of(tmp_path, augmentation={"own": "CODE:invert(share=0.5)"})
    assay.describe(study)
    (task,) = tasks_of(study, tmp_path / "store")
    data = open_training(task.images, task.labels, task.groups)
    indices = np.arange(200)
    batch = batch_of(task, data, indices, 3)
    again, other = batch_of(task, data, indices, 3), batch_of(task, data, indices, 4)
    stored = data.images[indices]
    is_same = (batch.images == stored).all((1, 2, 3))
    is_inverted = (batch.images == 255 - stored).all((1, 2, 3))
    assert (is_same ^ is_inverted).all()
    assert 60 < is_inverted.sum() < 140
    assert (again.images == batch.images).all()
    assert not (other.images == batch.images).all()
    result = assay.run(study)
    assert [run.state for run in result.record.runs] == ["finished"]
    assert result.record.runs[0].environment["path"] == "fused"  # images are varied whatever trains


@pytest.mark.parametrize("own", ["CODE:Sign(beta=0.8)", "CODE:adam(amsgrad=True)"])
def test_an_optimizer_of_ones_own_resumes_bit_for_bit(tmp_path: Path, own: str) -> None:
    study = study_of(tmp_path, optimizer={"own": own, "learning_rate": 0.003}, ema_momentum=0.9)
    assay.describe(study)
    (task,) = tasks_of(study, tmp_path / "store")
    data = open_training(task.images, task.labels, task.groups)
    whole = train(task, data)
    train(replace(task, pause_after=2), data, checkpoint=tmp_path / "checkpoint")
    resumed = train(task, data, checkpoint=tmp_path / "checkpoint")
    assert same_weights(whole.weights, resumed.weights)
    assert whole.history[-1].validation_loss < whole.history[0].validation_loss
    assert whole.history[-1].learning_rate == 0.003


def test_an_optimizer_is_written_as_a_name_alone(tmp_path: Path) -> None:
    study = study_of(tmp_path, optimizer="CODE:Sign()")
    assert study.expand()[0].training.optimizer.learning_rate == 0.001
    assert study.expand()[0].training.optimizer.name == "own"


def test_identities_are_the_code_and_old_ones_stay(tmp_path: Path) -> None:
    def identity(folder: str, **training: Any) -> str:
        (task,) = tasks_of(study_of(tmp_path / folder, **training), tmp_path / "store")
        return task.id

    assert identity("a", loss="CODE:Focal(gamma=1)") == identity("b", loss="CODE:Focal( gamma = 1 )")
    assert identity("a", loss="CODE:Focal(gamma=1)") != identity("a", loss="CODE:Focal(gamma=2)")
    plain = study_of(tmp_path / "a").expand()[0]
    assert "loss" not in plain.training.identity()
    dumped = study_of(tmp_path / "a", augmentation={"shift": 1.0}).expand()[0].model_dump(mode="json")["training"]
    assert "loss" not in dumped
    assert "own" not in dumped["optimizer"]
    assert "own" not in dumped["augmentation"]


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"loss": "mse"}, "leave it out: it is categorical cross-entropy"),
        ({"loss": "CODE:Fokal()"}, 'has no "Fokal"; did you mean "Focal"?'),
        ({"loss": "CODE:Learned()"}, "has parameters, which no run would train"),
        ({"loss": "CODE:counted"}, "counted trained twice from the same seed ends in other bits"),
        ({"loss": "CODE:Focal()", "label_smoothing": 0.1}, "label_smoothing modify cross-entropy"),
        ({"augmentation": {"own": "CODE:careless"}}, "draws from torch's global generator, which no run seeds"),
        ({"augmentation": {"own": "CODE:floats"}}, "returns float32 [8, 1, 8, 8] for uint8 [8, 1, 8, 8]"),
        ({"optimizer": {"own": "CODE:Forgetful()"}}, "keeps state that no checkpoint has"),
        ({"optimizer": {"own": "CODE:Double()"}}, "Double() cannot go on from a checkpoint: RuntimeError: "),
        ({"optimizer": {"own": "CODE:Focal()"}}, "makes a Focal, not a torch.optim.Optimizer"),
        ({"optimizer": {"own": "CODE:Sign()", "momentum": 0.9}}, "takes momentum as its arguments"),
        ({"optimizer": {"name": "own"}}, "needs its code"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, training: dict[str, Any], expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        assay.describe(study_of(tmp_path, **training))
    assert len(caught.value.problems) == 1
    assert expected in str(caught.value)


def test_levels_of_a_factor_are_losses(tmp_path: Path) -> None:
    write(tmp_path, CODE, "my_code.py")
    (tmp_path / "study.toml").write_text(
        """
        question = "Does a focal loss help?"
        [data]
        name = "digits"
        [network]
        layers = ["flatten", "dense classes softmax"]
        [factors]
        loss = ["my_code.py:crossentropy", "my_code.py:Focal(gamma=2)"]
        [training]
        loss = "{loss}"
        epochs = 1
        [seeds]
        count = 1
        """
    )
    result = assay.run(tmp_path / "study.toml")
    assert [run.state for run in result.record.runs] == ["finished", "finished"]
    names = [arm.name for arm in result.record.arms]
    assert names == ["loss=my_code.py:crossentropy", "loss=my_code.py:Focal(gamma=2)"]


def test_callbacks_see_every_epoch_once(tmp_path: Path) -> None:
    epochs: list[tuple[str, int, int]] = []
    ends: list[tuple[str, str]] = []

    class Noted(assay.Callback):
        def on_epoch(self, run: RunInfo, epoch: EpochRecord) -> None:
            epochs.append((run.label, epoch.epoch, run.epochs))

        def on_end(self, run: RunInfo, state: str) -> None:
            ends.append((run.label, state))

    study = own_study(
        tmp_path, network={"layers": ["flatten", "dense classes softmax"]}, factors={}, seeds={"count": 2}
    )
    assay.run(study, callbacks=[Noted()])
    assert sorted(epochs) == [(f"own, seed {seed}", epoch, 2) for seed in (0, 1) for epoch in (1, 2)]
    assert sorted(ends) == [("own, seed 0", "finished"), ("own, seed 1", "finished")]

    class Stops(assay.Callback):
        def on_epoch(self, run: RunInfo, epoch: EpochRecord) -> None:
            raise RuntimeError("that is enough")

    longer = study.model_copy(update={"name": "longer", "training": {"epochs": 3}})
    with pytest.raises(RuntimeError, match="that is enough"):
        assay.run(longer, callbacks=[Stops()])
    finished = assay.run(longer).record  # the store is usable, and the study goes on
    assert {run.state for run in finished.runs} == {"finished"}
