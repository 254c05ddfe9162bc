"""Gradient clipping before an optimizer's step, and weight averaging after it or after an epoch.

Sources: Keras 3.15's ``BaseOptimizer`` (``clipnorm``, ``global_clipnorm``, ``clipvalue``, ``use_ema``); Pascanu,
Mikolov and Bengio (2013), "On the difficulty of training recurrent neural networks"; Polyak and Juditsky (1992),
"Acceleration of stochastic approximation by averaging"; Izmailov et al. (2018), "Averaging weights leads to wider
optima and better generalization" (stochastic weight averaging; torch's ``AveragedModel``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from torch import Tensor

from .. import spec
from .fused.optimizers import fused_optimizer_for
from .groups import Group, Grouped
from .muon import Matrix, muon_for
from .optimizers import Number, Optimizer, optimizer_for

AVERAGE = "average"


class Updates(Optimizer):
    """An optimizer with clipping before its step and an average of the weights, after each step or each late epoch.

    The average is kept in ``state`` with the optimizer's own vectors, so that a checkpoint holds it.

    Args:
        inner: The optimizer.
        training: The protocol, which says what to clip and how to average.
        parts: Where each parameter stands in the flat vectors.
    """

    def __init__(self, inner: Optimizer, training: spec.Training, parts: Sequence[slice]) -> None:
        self.inner = inner
        self.settings, self.values = inner.settings, inner.values
        self.state = dict(inner.state)
        self.training = training
        self.parts = tuple(parts)
        self.has_average = bool(training.ema_momentum)  # of swa, from its first epoch on
        if training.ema_momentum or training.swa is not None:
            self.state[AVERAGE] = inner.values.clone()

    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        self._clip(gradients)
        self.inner.step(gradients, learning_rate, step)
        if self.training.ema_momentum:
            # Keras's average begins as the weights after the first step.
            momentum = self.training.ema_momentum * (step > 1)
            average = self.state[AVERAGE].mul_(momentum)
            if isinstance(momentum, Tensor):
                average.add_(self.values * (1 - momentum))
            else:
                average.add_(self.values, alpha=1 - momentum)

    def begin_epoch(self, epoch: int, steps_per_epoch: int) -> None:
        self.inner.begin_epoch(epoch, steps_per_epoch)

    def end_epoch(self, epoch: int) -> None:
        self.inner.end_epoch(epoch)
        swa = self.training.swa
        if swa is None:
            return
        number = epoch - swa.first_epoch(self.training.epochs) + 1  # how many are averaged, this one among them
        self.has_average = number >= 1
        if number >= 1:
            average = self.state[AVERAGE]
            average.copy_(average + (self.values - average) / number)

    def _clip(self, gradients: Tensor) -> None:
        if limit := self.training.clip_value:
            gradients.clamp_(-limit, limit)
        if limit := self.training.global_clip_norm:
            _clip_norm(gradients, limit)
        if limit := self.training.clip_norm:
            for part in self.parts:
                _clip_norm(gradients[..., part], limit)


def update_rule(
    optimizer: spec.Optimizer,
    values: Tensor,
    *,
    training: spec.Training | None,
    parts: Sequence[slice],
    is_fused: bool = True,
    groups: Sequence[Group] = (),
    own: Optimizer | None = None,
    matrices: Sequence[Matrix] = (),
) -> Optimizer:
    """The optimizer that a spec names, with the clipping and the averaging that the protocol asks for.

    Args:
        optimizer: Its name and settings.
        values: The parameters.
        training: The protocol; ``None`` asks for neither.
        parts: Where each parameter stands in ``values``.
        groups: Parts with rates and first epochs of their own; none if all learn alike.
        is_fused: Whether a step is one pass of our kernels, for one vector on the CPU, or torch's operations.
        own: The optimizer itself, where it is one of one's own.
        matrices: The kernels that Muon updates.
    """
    simple = fused_optimizer_for if is_fused else optimizer_for
    muon = muon_for(matrices, simple)

    def make(settings: spec.Optimizer, part_values: Tensor, part: slice) -> Optimizer:
        return muon(settings, part_values, part) if settings.name == "muon" else simple(settings, part_values)

    whole = slice(0, values.shape[-1])
    inner = own or (Grouped(make, optimizer, values, groups) if groups else make(optimizer, values, whole))
    if training is None or not any(
        (training.clip_norm, training.global_clip_norm, training.clip_value, training.ema_momentum, training.swa)
    ):
        return inner
    return Updates(inner, training, parts)


@contextlib.contextmanager
def averaged(optimizer: Optimizer) -> Iterator[None]:
    """Inside, the network's weights are the average of those of several steps or epochs, where one counts."""
    if not isinstance(optimizer, Updates) or not optimizer.has_average:
        yield
        return
    average = optimizer.state[AVERAGE]
    current = optimizer.values.clone()
    optimizer.values.copy_(average)
    try:
        yield
    finally:
        optimizer.values.copy_(current)


def _clip_norm(vector: Tensor, limit: float) -> None:
    length = vector.double().norm(dim=-1, keepdim=True)
    vector.mul_((limit / length).clamp(max=1).to(vector.dtype))
