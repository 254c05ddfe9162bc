"""A network that trains on our kernels: weights in, steps, weights out."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...nets import Summary
from ...seeds import Streams
from . import edges
from .grid import Floats
from .plan import blocks_of
from .program import Program
from .vectors import LANES


class FusedNetwork:
    """Weights of a network as one flat vector in the kernels' order, and the passes over a batch.

    Kernels are kept as [height, width, inputs, outputs], dense kernels as [inputs, units]; ``load`` and ``state`` speak
    the names and layouts of ``nets.build.Network``.

    Args:
        summary: The network.
        precision: "bfloat16" or "float32".
        max_batch: The largest batch of training or evaluation.
        streams: Of the run.
        threads: Threads that share each kernel.

    Raises:
        NotFused: The kernels do not take this network.
    """

    def __init__(
        self,
        summary: Summary,
        *,
        precision: Literal["float32", "bfloat16"],
        max_batch: int,
        streams: Streams,
        threads: int = 1,
    ) -> None:
        self.program = Program(
            blocks_of(summary), precision=precision, max_batch=max_batch, streams=streams, threads=threads
        )
        self._order = [row.name for row in summary.layers if row.trainable]
        self._weighted = {op.plan.name: op for op in self.program.weighted}
        self._norms = {op.plan.norm: op for ops in self.program.tails for op in ops if op.plan.norm is not None}
        sizes = {name: self._sizes(name) for name in self._order}
        total = sum(sum(pair) for pair in sizes.values())
        self.values = torch.zeros(total)
        self.gradients = torch.zeros(total)
        self._views: dict[str, tuple[slice, slice]] = {}
        offset = 0
        for name, (first, second) in sizes.items():
            self._views[name] = (slice(offset, offset + first), slice(offset + first, offset + first + second))
            offset += first + second
        self._bind()

    def _sizes(self, name: str) -> tuple[int, int]:
        if name in self._weighted:
            op = self._weighted[name]
            return op.size, op.plan.outputs[2]
        channels = self._norms[name].y.channels
        return channels, channels

    def _bind(self) -> None:
        values, gradients = self.values.numpy(), self.gradients.numpy()
        for name, (first, second) in self._views.items():
            if name in self._weighted:
                op = self._weighted[name]
                op.weights, op.bias = values[first], values[second]
                op.gradient, op.bias_gradient = gradients[first], gradients[second]
            else:
                norm = self._norms[name]
                norm.gamma, norm.beta = values[first], values[second]
                norm.gamma_gradient, norm.beta_gradient = gradients[first], gradients[second]

    def load(self, state: dict[str, Tensor]) -> None:
        """Take over weights and moving statistics."""
        self.values.copy_(self.flat(state))
        for name, norm in self._norms.items():
            norm.moving_mean[:] = state[f"{name}.moving_mean"].numpy()
            norm.moving_variance[:] = state[f"{name}.moving_variance"].numpy()

    def state(self) -> dict[str, Tensor]:
        """Copies of weights and moving statistics, in the order of ``nets.build.Network``."""
        tensors: dict[str, Tensor] = {}
        for name in self._order:
            tensors.update(self._tensors(name, self.values))
            if name in self._norms:
                norm = self._norms[name]
                tensors[f"{name}.moving_mean"] = torch.from_numpy(norm.moving_mean.copy())
                tensors[f"{name}.moving_variance"] = torch.from_numpy(norm.moving_variance.copy())
        return tensors

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """A flat vector (weights, gradients, an optimizer's slot) by parameter, in the layouts of ``Network``."""
        return {key: value for name in self._order for key, value in self._tensors(name, vector).items()}

    def flat(self, tensors: dict[str, Tensor]) -> Tensor:
        """The inverse of ``split``."""
        vector = torch.empty_like(self.values)
        for name, (first, second) in self._views.items():
            if name in self._weighted:
                kernel = tensors[f"{name}.kernel"]
                turned = kernel.t() if kernel.dim() == 2 else kernel.permute(2, 3, 1, 0)
                vector[first], vector[second] = turned.reshape(-1), tensors[f"{name}.bias"]
            else:
                vector[first], vector[second] = tensors[f"{name}.gamma"], tensors[f"{name}.beta"]
        return vector

    def _tensors(self, name: str, vector: Tensor) -> dict[str, Tensor]:
        first, second = (vector[view].clone() for view in self._views[name])
        if name in self._norms:
            return {f"{name}.gamma": first, f"{name}.beta": second}
        plan = self._weighted[name].plan
        (height, width), inputs, outputs = plan.kernel, plan.inputs[2], plan.outputs[2]
        if plan.is_dense:
            kernel = first.reshape(-1, outputs).t().contiguous()
        else:
            kernel = first.reshape(height, width, inputs, outputs).permute(3, 2, 0, 1)
            kernel = kernel.contiguous(memory_format=torch.channels_last)
        return {f"{name}.kernel": kernel, f"{name}.bias": second}

    def put_images(self, images: NDArray[np.uint8], indices: NDArray[np.int64], offset: Floats, factor: Floats) -> None:
        """The next batch: images by index, scaled to (byte - offset) * factor.

        Raises:
            ValueError: There are more images than ``max_batch``.
        """
        grid = self.program.images
        if len(indices) > grid.num_blocks * LANES:
            raise ValueError(f"{len(indices)} images for buffers of {grid.num_blocks * LANES}")
        self.program.team(
            len(indices) // LANES * grid.passing,
            edges.take_images,
            images,
            indices,
            grid.data,
            offset,
            factor,
            grid.full_height,
            grid.full_width,
            grid.top,
            grid.left,
        )

    def pack(self, *, for_training: bool) -> None:
        """Prepare the weights for the kernels: after every change of ``values``."""
        for op in self.program.weighted:
            op.pack(for_training=for_training)

    def train_batch(
        self,
        classes: NDArray[np.int64],
        *,
        step: int,
        partners: NDArray[np.int64] | None = None,
        shares: Floats | None = None,
    ) -> tuple[float, int]:
        """Forward and backward of the batch that was put in; gradients are left in ``gradients``.

        Returns:
            Summed cross-entropy (nats) and hits.
        """
        self.pack(for_training=True)
        count = len(classes)
        run = self.program.run(count, step=step, is_training=True)
        logits = self.program.forward(run)
        found = self._loss(logits, classes, partners, shares)
        self.program.backward(run)
        return found

    def score(self, classes: NDArray[np.int64]) -> tuple[float, int]:
        """Summed cross-entropy (nats) and hits in evaluation mode of the batch that was put in. ``pack`` first."""
        return self._loss(self.program.forward(self.program.run(len(classes))), classes)

    def _loss(
        self,
        logits: Floats,
        classes: NDArray[np.int64],
        partners: NDArray[np.int64] | None = None,
        shares: Floats | None = None,
    ) -> tuple[float, int]:
        count, stored = len(classes), self.program.weighted[-1].stored_outputs
        if partners is None or shares is None:
            partners, shares = classes, np.ones(count, np.float32)
        found: tuple[float, int] = edges.softmax_loss(
            logits, classes, partners, shares, count, self.program.classes, self.program.logit_gradient, stored
        )
        return found

    def logits(self, count: int) -> Floats:
        """Logits in evaluation mode of the batch that was put in, [count, classes]. Call ``pack`` first."""
        run = self.program.run(count)
        stored = self.program.weighted[-1].stored_outputs
        lanes = self.program.forward(run)[: run.blocks * stored * 16].reshape(run.blocks, stored, 16)
        ordered: Floats = lanes.transpose(0, 2, 1).reshape(run.blocks * 16, stored)[:count, : self.program.classes]
        return ordered
