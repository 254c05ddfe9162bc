"""A loss, an augmentation and an optimizer of the user's own, as training uses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .. import spec
from ..errors import Problem, SpecError
from ..nets.own import located
from ..nets.own.importing import value_of
from ..spec import OwnCall, training_calls
from .optimizers import Number, Optimizer

Loss = Callable[[Tensor, Tensor], Tensor]
Pixels = NDArray[np.uint8] | NDArray[np.float32]


def _call_of(training: spec.Training, part: str) -> OwnCall | None:
    return next((call for key, call in training_calls(training) if key == part), None)


def loss_of(training: spec.Training) -> Loss | None:
    """The loss of one's own: logits [batch, classes] and labels int64 [batch] to the mean loss, or one for each image.

    Raises:
        NoCode: Its code is not at hand.
        SpecError: It cannot be made, or has parameters of its own.
    """
    call = _call_of(training, "training.loss")
    if call is None:
        return None
    loss = value_of(located(call), call)
    if not callable(loss):
        what = f"{call.call} makes a {type(loss).__name__}, which cannot be called"
        raise SpecError(Problem(what, "give a function of logits and labels, or an nn.Module", "training.loss"))
    if isinstance(loss, nn.Module) and any(True for _ in loss.parameters()):
        what = f"{call.call} has parameters, which no run would train"
        raise SpecError(Problem(what, "put them into a module of your own", "training.loss"))

    def mean(logits: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = loss(logits, labels)
        return value.mean()

    return mean


def augmentation_of(training: spec.Training) -> Callable[[Pixels, int], Pixels] | None:
    """The augmentation of one's own: images [batch, height, width, channels] and a key to images of the same kind.

    The user's function takes a tensor [batch, channels, height, width] of stored values and a ``torch.Generator`` that
    the key seeds, and returns such a tensor.

    Raises:
        NoCode: Its code is not at hand.
        SpecError: It cannot be made.
    """
    call = _call_of(training, "training.augmentation.own")
    if call is None:
        return None
    change = value_of(located(call), call)
    generator = torch.Generator()

    def changed(images: Pixels, key: int) -> Pixels:
        generator.manual_seed(key)
        given = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
        varied: Any = change(given, generator)
        if not isinstance(varied, Tensor) or varied.shape != given.shape or varied.dtype != given.dtype:
            got = f"a {type(varied).__name__}"
            if isinstance(varied, Tensor):
                got = f"{str(varied.dtype).removeprefix('torch.')} {list(varied.shape)}"
            wanted = f"{str(given.dtype).removeprefix('torch.')} {list(given.shape)}"
            what = f"{call.call} returns {got} for {wanted}"
            raise SpecError(Problem(what, "return images of the same type and shape", "training.augmentation.own"))
        result: Pixels = np.ascontiguousarray(varied.permute(0, 2, 3, 1).numpy())
        return result

    return changed


class OwnOptimizer(Optimizer):
    """A ``torch.optim.Optimizer`` of the user's. It sees the network's own parameters, whose gradients are set.

    ``state`` is empty: ``slots`` and ``load_slots`` keep what the optimizer keeps, by parameter.

    Args:
        settings: The spec, which names it.
        values: All parameters as one vector, which those of the network are views of.
        parameters: Those of the network.

    Raises:
        NoCode: Its code is not at hand.
        SpecError: It cannot be made.
    """

    def __init__(self, settings: spec.Optimizer, values: Tensor, parameters: Sequence[nn.Parameter]) -> None:
        self.settings, self.values, self.state = settings, values, {}
        call = _call_of(spec.Training(optimizer=settings), "training.optimizer.own")
        if call is None:
            raise ValueError("the optimizer is not one's own")
        self.inner = value_of(located(call), call, list(parameters))
        if not isinstance(self.inner, torch.optim.Optimizer):
            what = f"{call.call} makes a {type(self.inner).__name__}, not a torch.optim.Optimizer"
            raise SpecError(Problem(what, "name a class that extends it", "training.optimizer.own"))

    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        for group in self.inner.param_groups:
            group["lr"] = float(learning_rate)
        self.inner.step()

    def slots(self) -> dict[str, Tensor]:
        """What it keeps, as tensors: of each parameter, and numbers of its groups."""
        given = self.inner.state_dict()
        slots = {}
        for index, kept in given["state"].items():
            for name, value in kept.items():
                slots[f"optimizer.state.{index}.{name}"] = _tensor(value)
        for index, group in enumerate(given["param_groups"]):
            for name, value in group.items():
                if name not in ("params", "lr") and isinstance(value, bool | int | float | Tensor):
                    slots[f"optimizer.group.{index}.{name}"] = _tensor(value)
        return {name: value for name, value in slots.items() if value is not None}

    def load_slots(self, tensors: dict[str, Tensor]) -> None:
        """Take over ``slots``; other names are ignored."""
        given = self.inner.state_dict()
        state: dict[int, dict[str, Any]] = {}
        for key, value in tensors.items():
            kind, _, rest = key.removeprefix("optimizer.").partition(".")
            index, _, name = rest.partition(".")
            if not key.startswith("optimizer.") or not index.isdigit():
                continue
            if kind == "state":
                state.setdefault(int(index), {})[name] = value.clone()
            elif kind == "group":
                before = given["param_groups"][int(index)][name]
                plain = value.clone() if isinstance(before, Tensor) else type(before)(value.item())
                given["param_groups"][int(index)][name] = plain
        if state:
            # Numbers were kept as float64 without dimensions, which torch's own optimizers never have.
            given["state"] = {
                index: {name: _number(value) for name, value in kept.items()} for index, kept in state.items()
            }
        lr = [group["lr"] for group in self.inner.param_groups]
        self.inner.load_state_dict(given)
        for group, rate in zip(self.inner.param_groups, lr, strict=True):
            group["lr"] = rate


def _tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    return torch.tensor(float(value), dtype=torch.float64) if isinstance(value, bool | int | float) else None


def _number(value: Tensor) -> Any:
    if value.dtype != torch.float64 or value.dim():
        return value
    number = value.item()
    return int(number) if number == int(number) else number
