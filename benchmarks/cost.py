"""What a training step of a probe must compute and move, counted from its layers: the two bounds of its speed.

Arithmetic is the products of convolutions and dense layers, each multiplication and addition, computed directly.
Memory traffic is a model of kernels that fuse all they can: every activation and every gradient is written once, and
read once by each pass that needs it. A pass that stays in a cache is counted like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from probes import Layer, Probe, layers_of

_WEIGHTED = ("conv", "depthwise", "dense")
# Float32 values that an optimizer's step reads and writes for each weight: weight and slots both ways, the gradient.
_OPTIMIZER_VALUES = {"sgd": 3, "rmsprop": 5, "adam": 7}


@dataclass(frozen=True)
class Block:
    """A layer with weights, and what is computed behind it without another layer with weights.

    Args:
        macs: Multiplications of an image, forward.
        weights: Of the layer, biases not counted.
        inputs, products, outputs: Values of an image: what the layer reads, what it makes, what the block makes of it.
        added: Values of the other branch, where the block ends a residual one.
    """

    macs: int
    weights: int
    inputs: int
    products: int
    outputs: int
    added: int = 0
    is_normalized: bool = False
    is_pooled: bool = False
    is_first: bool = False

    @property
    def flops(self) -> int:
        """Forward, then the gradients of weights and inputs; the first layer needs no gradient of its input."""
        return 2 * self.macs * (2 if self.is_first else 3)

    @property
    def traffic(self) -> int:
        """Values of an image that are written or read; the network's own input is left out."""
        x, y, z = (0 if self.is_first else self.inputs), self.products, self.outputs
        if self.is_first and self.is_pooled and not self.is_normalized:
            return 3 * z  # pooled as it is computed: output written; backward, its gradient and chosen places read
        has_pass = self.is_normalized or self.is_pooled or self.added > 0
        forward = x + y + (y + z if has_pass else 0) + self.added
        sums = 2 * z if self.is_normalized else 0  # of the output's gradient, and of it times the output
        back = z + y + (z if self.is_pooled else 0) + y  # to the product's gradient, which is written
        gradients = (x + y) + (0 if self.is_first else y + x)
        # The branches' gradients meet in the residual block's input, which is as large as what is added.
        return forward + sums + back + gradients + self.added


def blocks_of(probe: Probe) -> list[Block]:
    """The network's blocks in order; a shortcut's stand before those of the layers that it goes around."""
    side, _, channels = probe.shape
    first, *others = _blocks(layers_of(probe), side, channels)
    return [replace(first, is_first=True), *others]


def _blocks(layers: Iterable[Layer], side: int, channels: int) -> Iterator[Block]:
    current: Block | None = None
    for layer in layers:
        before = side * side * channels
        after, outputs = layer.outputs(side, channels)
        size = after * after * outputs
        if layer.kind in _WEIGHTED:
            if current:
                yield current
            window = 1 if layer.kind == "dense" else layer.sizes[-1] ** 2
            weights = window * outputs * (1 if layer.kind == "depthwise" else channels)
            current = Block(after * after * weights, weights, before, size, size)
        elif layer.kind == "residual":
            if current:
                yield current
            yield from _blocks(layer.shortcut, side, channels)
            *inner, last = _blocks(layer.inside, side, channels)
            yield from inner
            current = replace(last, added=size)
        elif current and layer.kind == "batchnorm":
            current = replace(current, is_normalized=True)
        elif current and layer.kind in ("maxpool", "globalavgpool"):
            current = replace(current, is_pooled=True, outputs=size)
        side, channels = after, outputs
    if current:
        yield current


def training_flops(probe: Probe) -> int:
    """Floating-point operations in the products of one image's training step. Everything else is not counted."""
    return sum(block.flops for block in blocks_of(probe))


def training_bytes(probe: Probe, bytes_per_value: int) -> int:
    """Bytes that the step of one batch writes and reads.

    Args:
        probe: The network.
        bytes_per_value: Of stored activations, their gradients, and weights where they are multiplied: 2 in bfloat16,
            4 in float32. Images are bytes that become float32; weights, gradients and slots are float32.
    """
    blocks = blocks_of(probe)
    height, width, channels = probe.shape
    images = height * width * channels * (1 + 4 + 4 + 4)  # a byte read, written; read forward and for the gradient
    values = sum(block.traffic for block in blocks) * bytes_per_value
    # Packed for the products, read forward and backward; their gradient written; the optimizer's step.
    packed = 3 * bytes_per_value + 4 + 4 * _OPTIMIZER_VALUES[probe.optimizer]
    return probe.batch_size * (images + values) + sum(block.weights for block in blocks) * packed
