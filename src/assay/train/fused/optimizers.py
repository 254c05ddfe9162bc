"""The optimizers of ``train.optimizers`` as kernels: each step is one pass over memory instead of a dozen.

Formulas, the order of operations and the names in ``state`` are the same, so either resumes from the other's
checkpoint; results agree to float32's rounding (a kernel may fuse a product and a sum).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ... import spec
from ..optimizers import Number, Optimizer, required
from .compiler import Kernel, kernel


def _optimizer(arrays: str, numbers: str) -> Callable[[Callable[..., None]], Callable[[], Kernel]]:
    """A kernel over vectors of float32 by name, with float32 numbers: a float64 among them would halve the lanes.

    LLVM may fuse a product and a sum, no more: sums keep their order, so that results are the same each time.
    """
    parameters = [f"{name}[float 1]" for name in arrays.split()] + [f"{name}:single" for name in numbers.split()]
    return kernel(" ".join(parameters), is_shared=False, contracts=True)


@_optimizer("values gradients", "rate")
def _plain(values: Any, gradients: Any, rate: Any) -> None:
    for i in range(values.size):
        values[i] -= rate * gradients[i]


@_optimizer("values gradients velocities", "rate momentum")
def _momentum(values: Any, gradients: Any, velocities: Any, rate: Any, momentum: Any) -> None:
    for i in range(values.size):
        velocity = momentum * velocities[i] - rate * gradients[i]
        velocities[i] = velocity
        values[i] += velocity


@_optimizer("values gradients velocities", "rate momentum")
def _nesterov(values: Any, gradients: Any, velocities: Any, rate: Any, momentum: Any) -> None:
    for i in range(values.size):
        gradient = gradients[i]
        velocity = momentum * velocities[i] - rate * gradient
        velocities[i] = velocity
        values[i] = values[i] + momentum * velocity - rate * gradient


@_optimizer("values gradients means squares", "rate rest_1 beta_2 rest_2 epsilon keep")
def _adam(
    values: Any, gradients: Any, means: Any, squares: Any, rate: Any, rest_1: Any, beta_2: Any, rest_2: Any,
    epsilon: Any, keep: Any,
) -> None:  # fmt: skip
    for i in range(values.size):
        gradient = gradients[i]
        mean = means[i] + rest_1 * (gradient - means[i])
        square = beta_2 * squares[i] + rest_2 * gradient * gradient
        means[i] = mean
        squares[i] = square
        # Bias correction is in the rate: one division less, and Keras's place for epsilon.
        values[i] = keep * values[i] - rate * mean / (math.sqrt(square) + epsilon)


@_optimizer("values gradients squares", "rate rho rest epsilon")
def _rmsprop(values: Any, gradients: Any, squares: Any, rate: Any, rho: Any, rest: Any, epsilon: Any) -> None:
    for i in range(values.size):
        gradient = gradients[i]
        square = rho * squares[i] + rest * gradient * gradient
        squares[i] = square
        values[i] -= rate * gradient / math.sqrt(square + epsilon)


@_optimizer("values gradients squares means", "rate rho rest epsilon")
def _rmsprop_centered(
    values: Any, gradients: Any, squares: Any, means: Any, rate: Any, rho: Any, rest: Any, epsilon: Any
) -> None:
    for i in range(values.size):
        gradient = gradients[i]
        square = rho * squares[i] + rest * gradient * gradient
        mean = rho * means[i] + rest * gradient
        squares[i] = square
        means[i] = mean
        values[i] -= rate * gradient / math.sqrt(square - mean * mean + epsilon)


@_optimizer("values gradients squares velocities", "rate rho rest epsilon momentum")
def _rmsprop_momentum(
    values: Any, gradients: Any, squares: Any, velocities: Any, rate: Any, rho: Any, rest: Any, epsilon: Any,
    momentum: Any,
) -> None:  # fmt: skip
    for i in range(values.size):
        gradient = gradients[i]
        square = rho * squares[i] + rest * gradient * gradient
        velocity = momentum * velocities[i] + rate * gradient / math.sqrt(square + epsilon)
        squares[i] = square
        velocities[i] = velocity
        values[i] -= velocity


@_optimizer("values gradients squares velocities means", "rate rho rest epsilon momentum")
def _rmsprop_momentum_centered(
    values: Any, gradients: Any, squares: Any, velocities: Any, means: Any, rate: Any, rho: Any, rest: Any,
    epsilon: Any, momentum: Any,
) -> None:  # fmt: skip
    for i in range(values.size):
        gradient = gradients[i]
        square = rho * squares[i] + rest * gradient * gradient
        mean = rho * means[i] + rest * gradient
        velocity = momentum * velocities[i] + rate * gradient / math.sqrt(square - mean * mean + epsilon)
        squares[i] = square
        means[i] = mean
        velocities[i] = velocity
        values[i] -= velocity


@_optimizer("values gradients squares square_changes", "rate rho rest epsilon")
def _adadelta(
    values: Any, gradients: Any, squares: Any, square_changes: Any, rate: Any, rho: Any, rest: Any, epsilon: Any
) -> None:
    for i in range(values.size):
        gradient = gradients[i]
        square = rho * squares[i] + rest * gradient * gradient
        change = math.sqrt(square_changes[i] + epsilon) * gradient / math.sqrt(square + epsilon)
        squares[i] = square
        square_changes[i] = rho * square_changes[i] + rest * change * change
        values[i] -= rate * change


class FusedSGD(Optimizer):
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        momentum = self.settings.momentum
        if not momentum:  # not torch's own pass: its threads would keep spinning beside the team's
            _plain()(0, 1, *_views(self.values, gradients), learning_rate)
            return
        chosen = _nesterov if self.settings.nesterov else _momentum
        chosen()(0, 1, *_views(self.values, gradients, *self.state.values()), learning_rate, momentum)


class FusedAdam(Optimizer):
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        beta_1, beta_2, epsilon = required(self.settings.beta_1, self.settings.beta_2, self.settings.epsilon)
        rate = learning_rate * (1 - beta_2**step) ** 0.5 / (1 - beta_1**step)
        keep = 1 - learning_rate * (self.settings.weight_decay or 0.0)
        numbers = (rate, 1 - beta_1, beta_2, 1 - beta_2, epsilon, keep)
        _adam()(0, 1, *_views(self.values, gradients, *self.state.values()), *numbers)


class FusedRMSprop(Optimizer):
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        rho, epsilon = required(self.settings.rho, self.settings.epsilon)
        momentum = self.settings.momentum
        if momentum:
            chosen = _rmsprop_momentum_centered if self.settings.centered else _rmsprop_momentum
        else:
            chosen = _rmsprop_centered if self.settings.centered else _rmsprop
        numbers = (learning_rate, rho, 1 - rho, epsilon, *([momentum] if momentum else []))
        chosen()(0, 1, *_views(self.values, gradients, *self.state.values()), *numbers)


class FusedAdadelta(Optimizer):
    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        rho, epsilon = required(self.settings.rho, self.settings.epsilon)
        numbers = (learning_rate, rho, 1 - rho, epsilon)
        _adadelta()(0, 1, *_views(self.values, gradients, *self.state.values()), *numbers)


def _views(*tensors: Tensor) -> list[NDArray[np.float32]]:
    """The tensors as arrays that share their memory. ``state`` keeps the order of ``slots_of``, as the kernels do."""
    return [tensor.numpy() for tensor in tensors]


_BY_NAME: dict[spec.OptimizerName, type[Optimizer]] = {
    "sgd": FusedSGD,
    "adam": FusedAdam,
    "adamw": FusedAdam,
    "rmsprop": FusedRMSprop,
    "adadelta": FusedAdadelta,
}


def fused_optimizer_for(settings: spec.Optimizer, values: Tensor) -> Optimizer:
    """The optimizer that a spec names, with empty state, for parameters in the processor's memory.

    Raises:
        ValueError: ``values`` is not a contiguous float32 vector on the CPU.
    """
    is_fit = values.device.type == "cpu" and values.dtype == torch.float32
    if not (is_fit and values.dim() == 1 and values.is_contiguous()):
        got = f"{values.dtype} {tuple(values.shape)} on {values.device}"
        raise ValueError(f"a fused optimizer needs a contiguous float32 vector on the CPU, got {got}")
    return _BY_NAME[settings.name](settings, values)
