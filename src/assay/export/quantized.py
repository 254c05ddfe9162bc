"""A chain of layers in 8 bits: what the C header computes, in NumPy.

Weights are int8 with a factor for each output channel, symmetric. Activations are int8 with one factor for each layer,
symmetric too, so that zero is zero and padding costs nothing. Sums are int32; a sum becomes the next layer's int8 by
one float32 product, rounded half away from zero, and cut at -127 and 127.

Source: Jacob et al. (2018), "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference"; Krishnamoorthi (2018), "Quantizing deep convolutional networks for efficient inference".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..nets import LayerSummary
from ..nets import layers as words
from ..nets.effects import Window
from ..nets.translation import Translation
from .portable import Portable

Floats = NDArray[np.float32]
Ints = NDArray[np.int8]
_ACTIVATIONS = ("relu", "linear", "softmax")


@dataclass(frozen=True, eq=False)
class Weighted:
    """A convolution or dense layer, batch normalization and relu included.

    Args:
        name: The layer's name.
        kernel: float32 [outputs, height, width, inputs]; of a dense layer the whole image it sees.
        bias: float32 [outputs].
        window: Stride and padding.
        inputs, outputs: Height, width and channels.
        has_relu: Whether negative outputs are 0.
    """

    name: str
    kernel: Floats
    bias: Floats
    window: Window
    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]
    has_relu: bool


@dataclass(frozen=True, eq=False)
class Pool:
    """The maximum of windows."""

    name: str
    window: Window
    inputs: tuple[int, int, int]
    outputs: tuple[int, int, int]


Step = Weighted | Pool


@dataclass
class Chain:
    """Steps so far.

    Args:
        network: Whose steps they are.
        shape: Height, width and channels of what the next step reads.
        steps: Those before it.
    """

    network: Portable
    shape: tuple[int, int, int]
    steps: list[Step] = field(default_factory=list)

    def add(self, step: Step) -> None:
        self.steps.append(step)
        self.shape = step.outputs


# What a row adds to the chain, or changes in its last step.
STEPS: Translation[Callable[[Chain, LayerSummary, Any], None]] = Translation(
    "C code",
    "C takes conv, maxpool, dense, relu, batchnorm behind conv or dense, dropout, flatten and reshape, in a chain",
)


def steps_of(network: Portable) -> tuple[Step, ...]:
    """The network as convolutions, dense layers and maxima; the softmax is left out.

    Batch normalization is folded into the weighted layer before it.

    Raises:
        SpecError: It has a layer that C code is not written for.
    """
    chain = Chain(network, network.shape)
    for row in network.summary.layers:
        if row.path:
            raise STEPS.refusal(row, "stands in a block")
        STEPS[row](chain, row, row.layer)
    return tuple(chain.steps)


@STEPS.of(words.Conv)
def _conv(chain: Chain, row: LayerSummary, layer: words.Conv) -> None:
    if layer.groups != 1 or layer.dilation != 1:
        raise STEPS.refusal(row, "has no C code here")
    kernel = chain.network.of_layer(row.name)["kernel"].transpose(0, 2, 3, 1)
    chain.add(_weighted(chain, row, kernel, layer.window, row.output_shape))  # type: ignore[arg-type]


@STEPS.of(words.Dense)
def _dense(chain: Chain, row: LayerSummary, layer: words.Dense) -> None:
    kernel = chain.network.of_layer(row.name)["kernel"].reshape(-1, *chain.shape)
    window = Window(chain.shape[:2], 1, 1, "valid")
    chain.add(_weighted(chain, row, kernel, window, (1, 1, row.output_shape[0])))


@STEPS.of(words.MaxPool)
def _maxpool(chain: Chain, row: LayerSummary, layer: words.MaxPool) -> None:
    chain.add(Pool(row.name, layer.window, chain.shape, row.output_shape))  # type: ignore[arg-type]


@STEPS.of(words.BatchNorm)
def _batchnorm(chain: Chain, row: LayerSummary, layer: words.BatchNorm) -> None:
    """Scale and shift, in the layer before: where a relu stands between, in the layer after they would be."""
    last = chain.steps[-1] if chain.steps else None
    if not isinstance(last, Weighted) or last.has_relu or last.outputs[2] != row.input_shape[-1]:
        raise STEPS.refusal(row, "does not stand right behind a conv or dense layer without activation")
    weights = chain.network.of_layer(row.name)
    scale = (weights["gamma"] / np.sqrt(weights["moving_variance"] + np.float32(layer.epsilon))).astype(np.float32)
    bias = (last.bias - weights["moving_mean"]) * scale + weights["beta"]
    kernel = last.kernel * scale[:, None, None, None]
    chain.steps[-1] = replace(last, kernel=kernel, bias=bias.astype(np.float32))


@STEPS.of(words.Activate)
def _activate(chain: Chain, row: LayerSummary, layer: words.Activate) -> None:
    last = chain.steps[-1] if chain.steps else None
    if not isinstance(last, Weighted) or layer.activation not in _ACTIVATIONS:
        raise STEPS.refusal(row, "has no C code here")
    chain.steps[-1] = replace(last, has_relu=last.has_relu or layer.activation == "relu")


@STEPS.of(words.Reshape)
def _reshape(chain: Chain, row: LayerSummary, layer: words.Reshape) -> None:
    """The numbers stay where they are; what comes next counts them otherwise."""
    shape = row.output_shape
    chain.shape = shape if len(shape) == 3 else (1, 1, *shape)


@STEPS.of(words.Dropout, words.SpatialDropout, words.Flatten)
def _nothing(chain: Chain, row: LayerSummary, layer: words.Layer) -> None:
    """Such layers change no number and no order."""


def _weighted(
    chain: Chain, row: LayerSummary, kernel: Floats, window: Window, outputs: tuple[int, int, int]
) -> Weighted:
    activation = getattr(row.layer, "activation", "linear")
    if activation not in _ACTIVATIONS:
        raise STEPS.refusal(row, f"has {activation}, which has no C code here")
    bias = chain.network.of_layer(row.name).get("bias", np.zeros(outputs[2], np.float32))
    has_relu = activation == "relu"
    return Weighted(row.name, np.ascontiguousarray(kernel), bias, window, chain.shape, outputs, has_relu)


@dataclass(frozen=True, eq=False)
class Quantized:
    """A weighted layer in 8 bits.

    Args:
        step: The layer.
        kernel: int8, as ``step.kernel``.
        bias: int32 [outputs], in units of the sum.
        factor: float32 [outputs]: what a sum is multiplied by; to the next layer's int8, or for the last one to logits.
    """

    step: Weighted
    kernel: Ints
    bias: NDArray[np.int32]
    factor: Floats


@dataclass(frozen=True, eq=False)
class Int8Network:
    """The network in 8 bits.

    Args:
        network: In float32.
        steps: Its steps, the weighted ones quantized.
        input_factor: What a scaled pixel is multiplied by before it is rounded to int8.
    """

    network: Portable
    steps: tuple[Quantized | Pool, ...]
    input_factor: float

    def logits(self, images: NDArray[Any]) -> Floats:
        """Logits [n, classes] of stored images [n, height, width, channels], exactly as the C code has them."""
        values = (images.astype(np.float32) - self.network.offset) * self.network.factor
        x: NDArray[Any] = rounded(values * np.float32(self.input_factor))
        last = max(index for index, step in enumerate(self.steps) if isinstance(step, Quantized))
        for index, step in enumerate(self.steps):
            if isinstance(step, Pool):
                x = _maxima(x, step, -128).astype(x.dtype)
                continue
            sums = _sums(x.astype(np.int32), step.kernel.astype(np.int32), step.step) + step.bias
            if step.step.has_relu:
                sums = np.maximum(sums, 0)
            scaled = sums.astype(np.float32) * step.factor
            x = scaled if index == last else rounded(scaled)
        logits: Floats = x.reshape(len(images), -1)
        return logits

    @property
    def num_bytes(self) -> int:
        """Bytes of the constants that a forward pass in 8 bits reads."""
        weighted = (step for step in self.steps if isinstance(step, Quantized))
        return sum(step.kernel.nbytes + step.bias.nbytes + step.factor.nbytes for step in weighted)


def quantize(network: Portable, images: NDArray[Any]) -> Int8Network:
    """The network in 8 bits, calibrated on stored training images [n, height, width, channels].

    A layer's range is the largest absolute value that it puts out on these images.

    Raises:
        SpecError: It has a layer that C code is not written for.
    """
    steps = steps_of(network)
    values = (images.astype(np.float32) - network.offset) * network.factor
    level = 127 / _largest(values)
    input_factor = level
    quantized: list[Quantized | Pool] = []
    for index, step in enumerate(steps):
        if isinstance(step, Pool):
            quantized.append(step)
            values = _maxima(values, step, -np.inf)
            continue
        values = _sums(values, step.kernel, step) + step.bias
        values = np.maximum(values, 0) if step.has_relu else values
        peaks = np.abs(step.kernel).reshape(len(step.kernel), -1).max(1)
        fine = 127 / np.where(peaks > 0, peaks, 1).astype(np.float64)  # of each output channel's kernel
        kernel = rounded((step.kernel * fine[:, None, None, None]).astype(np.float32))
        most = 2**30
        bias = np.clip(np.rint(step.bias * level * fine), -most, most).astype(np.int32)
        is_last = index == len(steps) - 1
        after = 1.0 if is_last else 127 / _largest(values)
        quantized.append(Quantized(step, kernel, bias, (after / (level * fine)).astype(np.float32)))
        level = after
    return Int8Network(network, tuple(quantized), float(np.float32(input_factor)))


def _largest(values: NDArray[Any]) -> float:
    return float(np.abs(values).max()) or 1.0


def rounded(values: Floats) -> Ints:
    """float32 to int8, halves away from zero, cut at -127 and 127."""
    whole = np.trunc(values + np.copysign(np.float32(0.5), values))
    return np.clip(whole, -127, 127).astype(np.int8)


def _windows(values: NDArray[Any], window: Window, outputs: tuple[int, int, int], fill: Any) -> NDArray[Any]:
    """[n, rows, columns, height, width, channels]: what every position sees."""
    pads = [window.padding(values.shape[axis + 1], axis) for axis in (0, 1)]
    padded = np.pad(values, ((0, 0), *pads, (0, 0)), constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(padded, window.size, (1, 2))
    stepped = seen[:, :: window.stride, :: window.stride][:, : outputs[0], : outputs[1]]
    return np.moveaxis(stepped, 3, -1)


def _sums(values: NDArray[Any], kernel: NDArray[Any], step: Weighted) -> NDArray[Any]:
    shaped = values.reshape(len(values), *step.inputs)
    seen = _windows(shaped, step.window, step.outputs, 0)
    sums: NDArray[Any] = np.einsum("nijhwc,ohwc->nijo", seen, kernel, optimize=True)
    return sums


def _maxima(values: NDArray[Any], step: Pool, fill: float) -> NDArray[Any]:
    shaped = values.reshape(len(values), *step.inputs)
    maxima: NDArray[Any] = _windows(shaped, step.window, step.outputs, fill).max((3, 4))
    return maxima
