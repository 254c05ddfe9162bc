"""Muon: momentum whose kernels' updates are made orthogonal, and Adam for everything else.

Kernels of convolutions and dense layers are matrices of one column for each output (a convolution's window and inputs
together). With momentum m = momentum * m + gradient and, with Nesterov's, u = gradient + momentum * m, else u = m, a
kernel changes by -learning_rate * O(u): O is the nearest matrix whose singular values are 1, about, by a few steps of a
Newton-Schulz iteration. So all directions of a kernel learn alike, and a step is as long whatever the gradient's scale.
The last layer's kernel, depthwise kernels, biases and everything else that trains take Adam's steps, with
adam_ratio x learning_rate.

Sources: Jordan et al. (2024), "Muon: An optimizer for hidden layers in neural networks", which has the iteration's
coefficients; Bernstein and Newhouse (2024), "Old optimizer, new norm"; Keras 3.15's ``Muon`` (with ``rms_rate=None``),
which takes dense kernels alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .. import spec
from ..nets import Conv, Dense, Separable, Summary
from ..nets.threads import one_thread
from .optimizers import Number, Optimizer, required

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_TINY = 1e-7  # added to a norm


@dataclass(frozen=True)
class Matrix:
    """A kernel among the flat parameters.

    Args:
        part: Where it stands.
        rows, columns: Its shape there.
        outputs: Filters or units: the length of one of the sides.
    """

    part: slice
    rows: int
    columns: int
    outputs: int


def matrices_of(summary: Summary, slices: Mapping[str, slice], *, has_outputs_first: bool) -> tuple[Matrix, ...]:
    """The kernels that Muon updates: those of convolutions and dense layers, pointwise ones too, but the last.

    Args:
        summary: The network.
        slices: Where each trained parameter stands, by name such as ``conv1.kernel``.
        has_outputs_first: Whether a kernel lies as [outputs, everything else], as torch has it, or the other way.
    """
    matrices = []
    for row in summary.layers:
        if not isinstance(row.layer, Conv | Dense | Separable):
            continue
        part = slices.get(f"{row.name}.{'pointwise_kernel' if isinstance(row.layer, Separable) else 'kernel'}")
        if part is not None:
            outputs = row.output_shape[-1]
            matrices.append(_matrix(part, outputs, has_outputs_first=has_outputs_first))
    return tuple(matrices[:-1])


def matrices_in(shapes: Mapping[str, torch.Size], slices: Mapping[str, slice]) -> tuple[Matrix, ...]:
    """The same of a module of one's own: whatever has two axes or more, the first for its outputs, but the last."""
    kernels = [name for name, shape in shapes.items() if len(shape) > 1]
    return tuple(_matrix(slices[name], shapes[name][0], has_outputs_first=True) for name in kernels[:-1])


def _matrix(part: slice, outputs: int, *, has_outputs_first: bool) -> Matrix:
    others = (part.stop - part.start) // outputs
    rows, columns = (outputs, others) if has_outputs_first else (others, outputs)
    return Matrix(part, rows, columns, outputs)


class Muon(Optimizer):
    """Muon for ``matrices`` and Adam for the rest.

    The same bits with any number of threads: products are computed on one.

    Args:
        settings: Of the optimizer.
        values: All parameters.
        matrices: The kernels, in the order of ``values``.
        adam: Makes the optimizer of a part of the rest.
    """

    def __init__(
        self,
        settings: spec.Optimizer,
        values: Tensor,
        matrices: Sequence[Matrix],
        adam: Callable[[spec.Optimizer, Tensor], Optimizer],
    ) -> None:
        super().__init__(settings, values)
        self.matrices = tuple(matrices)
        beta_1, beta_2, epsilon = required(settings.beta_1, settings.beta_2, settings.epsilon)
        own = spec.Optimizer(name="adam", beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        others = _between((matrix.part for matrix in matrices), values.shape[-1])
        self._others = [(part, adam(own, values[..., part])) for part in others]

    def step(self, gradients: Tensor, learning_rate: Number, step: Number) -> None:
        (ratio,) = required(self.settings.adam_ratio)
        decay = 1 - learning_rate * (self.settings.weight_decay or 0.0)
        with one_thread():
            for matrix in self.matrices:
                self._update(matrix, gradients, learning_rate, decay)
        for part, other in self._others:
            # Anew in each step: a group's state is a view of the whole's, and set later.
            other.state = {"mean": self.state["momentum"][..., part], "square": self.state["square"][..., part]}
            other.step(gradients[..., part], learning_rate * ratio, step)

    def _update(self, matrix: Matrix, gradients: Tensor, learning_rate: Number, decay: Number) -> None:
        (momentum,) = required(self.settings.momentum)
        values, gradient, mean = (
            vector[..., matrix.part].view(*vector.shape[:-1], matrix.rows, matrix.columns)
            for vector in (self.values, gradients, self.state["momentum"])
        )
        mean.mul_(momentum).add_(gradient)
        update = gradient.add(mean, alpha=momentum) if self.settings.nesterov else mean
        if self.settings.weight_decay:
            values.mul_(decay)
        if self.settings.normalize:
            values.mul_(math.sqrt(matrix.outputs) / (_norm(values) + _TINY))
        values.sub_(orthogonal(update, self.settings.iterations or 1).mul_(learning_rate))


def orthogonal(matrices: Tensor, iterations: int) -> Tensor:
    """About the nearest matrices with singular values 1: new ones, of the same shape [..., rows, columns].

    Each iteration is X <- a X + (b A + c A A) X with A = X X', from a matrix of norm 1. Its coefficients bring small
    singular values up fast, and end near 1, between 0.7 and 1.2.
    """
    a, b, c = _COEFFICIENTS
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = (matrices.mT if is_tall else matrices).contiguous()
    x = x / (_norm(x) + _TINY)
    for _ in range(iterations):
        square = x @ x.mT
        x = a * x + (b * square + c * (square @ square)) @ x
    return x.mT.contiguous() if is_tall else x


def muon_for(
    matrices: Sequence[Matrix], adam: Callable[[spec.Optimizer, Tensor], Optimizer]
) -> Callable[[spec.Optimizer, Tensor, slice], Optimizer]:
    """Makes the optimizer of a part of the parameters, and so of its kernels alone."""

    def make(settings: spec.Optimizer, values: Tensor, part: slice) -> Optimizer:
        start, stop = part.indices(part.stop)[:2]
        own = [matrix for matrix in matrices if start <= matrix.part.start < stop]
        moved = [replace(m, part=slice(m.part.start - start, m.part.stop - start)) for m in own]
        return Muon(settings, values, moved, adam)

    return make


def _norm(matrices: Tensor) -> Tensor:
    """Of all elements, float32 [..., 1, 1]."""
    return matrices.double().square().sum((-2, -1), keepdim=True).sqrt().to(matrices.dtype)


def _between(parts: Iterable[slice], size: int) -> list[slice]:
    """What the parts leave of a vector."""
    bounds = [0, *(bound for part in parts for bound in (part.start, part.stop)), size]
    return [slice(start, stop) for start, stop in zip(bounds[::2], bounds[1::2], strict=True) if stop > start]
