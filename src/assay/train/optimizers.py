"""Optimizers with Keras's formulas, on one flat parameter vector.

Keras's and PyTorch's optimizers of the same name differ: Keras's Adam adds epsilon before, not after, the bias
correction of the second moment, its RMSprop has epsilon inside the square root, its SGD folds the learning rate
into the momentum buffer.

Sources: Keras 3.15; Kingma and Ba (2015), "Adam"; Loshchilov and Hutter (2019), "Decoupled weight decay
regularization"; Zeiler (2012), "ADADELTA"; Graves (2013), "Generating sequences with recurrent neural networks"
(centered RMSprop).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import torch
from torch import Tensor

from .. import spec

# A tensor is float64 without dimensions, on the parameters' device: which a captured CUDA graph reads anew in every
# replay.
Number: TypeAlias = float | Tensor


class Optimizer(ABC):
    """Updates ``values`` in place from ``gradients``; both are float32 vectors of one length, or several [n, length].

    ``state`` holds one vector for each of ``slots_of(settings)``: what a checkpoint must keep.
    """

    def __init__(self, settings: spec.Optimizer, values: Tensor) -> None:
        self.settings = settings
        self.values = values
        self.state = {name: torch.zeros_like(values) for name in slots_of(settings)}

    @abstractmethod
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        """One update. ``step`` counts updates from 1."""

    def begin_epoch(self, epoch: int, steps_per_epoch: int) -> None:  # noqa: B027
        """Announce the epoch (from 1) that begins, of so many steps: some parameters may begin to train with it."""

    def end_epoch(self, epoch: int) -> None:  # noqa: B027
        """Announce that an epoch (from 1) has taken its last step: its weights may enter an average."""


class SGD(Optimizer):
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        momentum, change = self.settings.momentum, gradients * learning_rate
        if not momentum:
            self.values.sub_(change)
            return
        velocity = self.state["momentum"]
        velocity.mul_(momentum).sub_(change)
        if self.settings.nesterov:
            self.values.add_(velocity, alpha=momentum).sub_(change)
        else:
            self.values.add_(velocity)


class Adam(Optimizer):
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        beta_1, beta_2, epsilon = required(self.settings.beta_1, self.settings.beta_2, self.settings.epsilon)
        if self.settings.weight_decay:
            self.values.mul_(1 - learning_rate * self.settings.weight_decay)
        mean, square = self.state["mean"], self.state["square"]
        mean.lerp_(gradients, 1 - beta_1)
        square.mul_(beta_2).addcmul_(gradients, gradients, value=1 - beta_2)
        rate = learning_rate * (1 - beta_2**step) ** 0.5 / (1 - beta_1**step)
        self.values.sub_(mean.div(square.sqrt().add_(epsilon)).mul_(rate))


class RMSprop(Optimizer):
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        rho, epsilon = required(self.settings.rho, self.settings.epsilon)
        square = self.state["square"].mul_(rho).addcmul_(gradients, gradients, value=1 - rho)
        spread = square
        if self.settings.centered:
            mean = self.state["mean"].mul_(rho).add_(gradients, alpha=1 - rho)
            spread = square.addcmul(mean, mean, value=-1)
        root = spread.add(epsilon).sqrt_()
        if self.settings.momentum:
            velocity = self.state["momentum"].mul_(self.settings.momentum)
            velocity.add_(gradients.div(root).mul_(learning_rate))
            self.values.sub_(velocity)
        else:
            self.values.sub_(gradients.div(root).mul_(learning_rate))


class Adadelta(Optimizer):
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        rho, epsilon = required(self.settings.rho, self.settings.epsilon)
        square, square_change = self.state["square"], self.state["square_change"]
        square.mul_(rho).addcmul_(gradients, gradients, value=1 - rho)
        change = (square_change + epsilon).sqrt_().mul_(gradients).div_((square + epsilon).sqrt_())
        square_change.mul_(rho).addcmul_(change, change, value=1 - rho)
        self.values.sub_(change.mul_(learning_rate))


_BY_NAME: dict[spec.OptimizerName, type[Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": Adam,
    "rmsprop": RMSprop,
    "adadelta": Adadelta,
}


def slots_of(settings: spec.Optimizer) -> tuple[str, ...]:
    """The vectors that an optimizer keeps between steps: only those that its settings need."""
    match settings.name:
        case "sgd":
            return ("momentum",) if settings.momentum else ()
        case "adam" | "adamw":
            return ("mean", "square")
        case "rmsprop":
            momentum = ("momentum",) if settings.momentum else ()
            return ("square", *momentum, "mean") if settings.centered else ("square", *momentum)
        case "adadelta":
            return ("square", "square_change")
        case "muon":  # ``muon.Muon``: the square is Adam's, of what is no kernel
            return ("momentum", "square")
        case "own":  # it keeps what it keeps itself: ``own_parts.OwnOptimizer``
            return ()


def optimizer_for(settings: spec.Optimizer, values: Tensor) -> Optimizer:
    """The optimizer that a spec names, with empty state."""
    return _BY_NAME[settings.name](settings, values)


def required(*settings: float | None) -> tuple[float, ...]:
    """Settings that a spec has filled in by now."""
    missing = [setting for setting in settings if setting is None]
    if missing:
        raise TypeError("an optimizer spec fills in its own defaults at construction; this one bypassed that")
    return tuple(setting for setting in settings if setting is not None)
