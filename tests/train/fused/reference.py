"""What the kernels are held against: the same network in float64 on torch's own layers and autograd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from assay.nets import MaxPool, parse
from assay.nets.build import Network, build
from assay.nets.modules import _pad
from assay.seeds import Streams
from assay.train.fused.network import FusedNetwork

CLASSES = 10
STREAMS = Streams(3)
STEP = 7
CLEAR = 3e-6  # relative; float32 errs by less in sums as short as these


@dataclass(frozen=True)
class Batch:
    """Random images, scaled so that a byte of 0 is not 0: a margin of zeros is then no part of the picture."""

    images: np.ndarray
    classes: np.ndarray
    offset: np.ndarray
    factor: np.ndarray

    @property
    def indices(self) -> np.ndarray:
        return np.arange(len(self.classes))

    def pixels(self) -> Tensor:
        """What a network sees, (batch, channel, height, width)."""
        scaled = (self.images.astype(np.float32) - self.offset) * self.factor
        return torch.from_numpy(scaled).permute(0, 3, 1, 2)

    def first(self, count: int) -> Batch:
        return replace(self, images=self.images[:count], classes=self.classes[:count])


def random_batch(shape: tuple[int, int, int], count: int, seed: int = 1) -> Batch:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    offset = np.linspace(100, 140, shape[2], dtype=np.float32)
    factor = np.linspace(1 / 60, 1 / 90, shape[2], dtype=np.float32)
    return Batch(images, rng.integers(0, CLASSES, count), offset, factor)


def network_of(words: Sequence[Any], shape: tuple[int, int, int], seed: int = 0) -> Network:
    """A network as in the midst of training: no parameter at the value it starts from, gammas of both signs."""
    network = build(parse(words), shape, CLASSES, STREAMS)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if name.endswith(("gamma", "beta", "bias", "moving_mean")):
                values.copy_(torch.randn(values.shape, generator=generator) * (1 if name.endswith("gamma") else 0.3))
                if name.endswith("gamma"):
                    values[:2] = torch.tensor([-0.8, 1.2])[: len(values)]
            elif name.endswith("moving_variance"):
                values.copy_(torch.rand(values.shape, generator=generator) + 0.5)
    return network


def fused_of(
    network: Network, max_batch: int, *, precision: Literal["float32", "bfloat16"] = "float32", threads: int = 1
) -> FusedNetwork:
    """The network on the kernels, with the same weights and streams."""
    fused = FusedNetwork(network.summary, precision=precision, max_batch=max_batch, streams=STREAMS, threads=threads)
    fused.load({name: value.detach() for name, value in network.state_dict().items()})
    return fused


@dataclass(frozen=True)
class PassResult:
    """One training pass: mean loss without penalty, hits, gradients and moving statistics by name."""

    loss: float
    hits: int
    gradients: dict[str, Tensor]
    statistics: dict[str, Tensor]


def by_torch(
    network: Network, batch: Batch, *, dtype: torch.dtype = torch.float64, autocast: bool = False
) -> PassResult:
    """The pass by autograd, on a copy of the network; the penalty is in the gradients."""
    copy = Network(network.summary, STREAMS)
    copy.load_state_dict(network.state_dict())
    copy = copy.to(dtype).train()
    copy.set_step(STEP)
    targets = torch.from_numpy(batch.classes)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        logits = copy(batch.pixels().to(dtype))
    loss = cross_entropy(logits.to(dtype), targets)
    penalty = copy.penalty()
    (loss if penalty is None else loss + penalty).backward()
    gradients = {name: p.grad.detach().clone() for name, p in copy.named_parameters() if p.grad is not None}
    statistics = {name: value.clone() for name, value in copy.named_buffers()}
    return PassResult(loss.item(), int((logits.argmax(1) == targets).sum()), gradients, statistics)


def by_kernels(fused: FusedNetwork, batch: Batch, *, step: int = STEP) -> PassResult:
    fused.put_images(batch.images, batch.indices, batch.offset, batch.factor)
    loss, hits = fused.train_batch(batch.classes, step=step)
    statistics = {name: value for name, value in fused.state().items() if "moving" in name}
    return PassResult(loss / len(batch.classes), hits, fused.split(fused.gradients), statistics)


def error(found: Tensor, expected: Tensor) -> float:
    """Norm of the difference, relative to the norm of what is expected."""
    found, expected = found.double(), expected.double()
    return float((found - expected).norm() / expected.norm())


def worst(found: dict[str, Tensor], expected: dict[str, Tensor]) -> tuple[float, str]:
    """The largest error, and whose it is."""
    assert found.keys() == expected.keys()
    return max((error(found[name], expected[name]), name) for name in expected)


@torch.no_grad()
def clearance(network: Network, batch: Batch) -> float:
    """How far the closest call is from being called otherwise: the smallest distance of a relu's input from 0 and, in a
    window of a maximum, of the largest value from the next other one; relative to that layer's mean absolute value.

    Gradients of two precisions can be compared only where rounding cannot turn a call.
    """
    copy = Network(network.summary, STREAMS)
    copy.load_state_dict(network.state_dict())
    copy = copy.double().train()
    copy.set_step(STEP)
    outputs, closest = {"": batch.pixels().double()}, float("inf")
    for row in copy.summary.layers:
        module = copy.get_submodule(row.name)
        layer = module.layer
        values = [outputs[name] for name in row.inputs]
        if getattr(layer, "activation", "") == "relu":
            module.layer = replace(layer, activation="linear")
            before = module(*values)
            distances = before.abs()
            # Exactly 0 is the sum of what dropout and relu left nothing of: in every precision.
            closest = min(closest, float(distances[distances > 0].min() / distances.mean()))
            outputs[row.name] = before.relu()
            continue
        if isinstance(layer, MaxPool):
            (images,) = values
            padded, (top, left) = _pad(images, (layer.size, layer.size), layer.stride, layer.padding, -np.inf)
            padded = torch.nn.functional.pad(padded, (left, left, top, top), value=-np.inf)
            windows = padded.unfold(2, layer.size, layer.stride).unfold(3, layer.size, layer.stride).flatten(4)
            top_value = windows.amax(-1, keepdim=True)
            others = torch.where(windows < top_value, windows, -np.inf).amax(-1)
            closest = min(closest, float((top_value[..., 0] - others).min() / images.abs().mean()))
        outputs[row.name] = module(*values)
    return closest


def clear_case(words: Sequence[Any], shape: tuple[int, int, int], count: int) -> tuple[Network, Batch]:
    """A network and the first random batch on which float32 cannot decide anything otherwise than float64."""
    network = network_of(words, shape)
    batches = (random_batch(shape, count, seed) for seed in range(1, 50))
    return network, next(batch for batch in batches if clearance(network, batch) > CLEAR)
