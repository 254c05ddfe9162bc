"""A LiteRT model as it grows: tensors, constants and operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .flat import Field, Table, packed

_VERSION = 3
_TYPES = {"float32": 0, "int32": 2, "uint8": 3, "int8": 9}
_RELU = {"": 0, "relu": 1, "relu6": 3}
# By operator: its number, that of its options, and where each option stands.
_OPERATORS: Mapping[str, tuple[int, int, Mapping[str, tuple[int, str]]]] = {
    "ADD": (0, 11, {"activation": (0, "Int8")}),
    "AVERAGE_POOL_2D": (1, 5, {}),
    "CAST": (53, 37, {"source": (0, "Int8"), "target": (1, "Int8")}),
    "CONCATENATION": (2, 10, {"axis": (0, "Int32")}),
    "CONV_2D": (3, 1, {"same": (0, "Int8"), "stride": (1, "Int32"), "stride_height": (2, "Int32"),
                       "activation": (3, "Int8"), "dilation": (4, "Int32"), "dilation_height": (5, "Int32")}),
    "DEPTHWISE_CONV_2D": (4, 2, {"same": (0, "Int8"), "stride": (1, "Int32"), "stride_height": (2, "Int32"),
                                 "multiplier": (3, "Int32"), "activation": (4, "Int8"), "dilation": (5, "Int32"),
                                 "dilation_height": (6, "Int32")}),
    "DEQUANTIZE": (6, 38, {}),
    "ELU": (111, 0, {}),
    "FULLY_CONNECTED": (9, 8, {"activation": (0, "Int8")}),
    "GELU": (150, 116, {"approximate": (0, "Bool")}),
    "LEAKY_RELU": (98, 75, {"alpha": (0, "Float32")}),
    "LOGISTIC": (14, 0, {}),
    "MAX_POOL_2D": (17, 5, {}),
    "MEAN": (40, 27, {"keep": (0, "Bool")}),
    "MUL": (18, 21, {}),
    "PAD": (34, 22, {}),
    "PADV2": (60, 43, {}),
    "PRELU": (54, 0, {}),
    "QUANTIZE": (114, 89, {}),
    "RELU": (19, 0, {}),
    "RELU6": (21, 0, {}),
    "RESHAPE": (22, 17, {"shape": (0, "ints")}),
    "RSQRT": (76, 0, {}),
    "SOFTMAX": (25, 9, {"beta": (0, "Float32")}),
    "SQUARED_DIFFERENCE": (99, 76, {}),
    "SUB": (41, 28, {}),
    "TANH": (28, 0, {}),
}  # fmt: skip
_POOL = {"same": (0, "Int8"), "stride": (1, "Int32"), "stride_height": (2, "Int32"), "width": (3, "Int32"),
         "height": (4, "Int32")}  # fmt: skip
# The version of an operator that takes 8 bits.
_INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "ELU": 1,
    "FULLY_CONNECTED": 4,
    "PRELU": 1,
    "QUANTIZE": 1,
    "RESHAPE": 1,
}


@dataclass(frozen=True)
class Scales:
    """What whole numbers stand for: (number - zero) * scale.

    Args:
        scales: One, or one for each index of an axis.
        zero: The number that stands for 0.
        axis: That axis.
    """

    scales: tuple[float, ...]
    zero: int = 0
    axis: int = 0


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model.

    Args:
        index: Its number.
        shape: Without the batch.
        dtype: NumPy's name of its type.
        scales: Of whole numbers.
    """

    index: int
    shape: tuple[int, ...]
    dtype: str
    scales: Scales | None = None


class LiteGraph:
    """Tensors, constants and operators as they are added. The batch is the first axis of all but constants."""

    def __init__(self) -> None:
        self._tensors: list[Table] = []
        self._buffers: list[Table] = [[]]  # the first is empty, by convention
        self._operators: list[Table] = []
        self._codes: dict[tuple[int, int], int] = {}

    def tensor(self, shape: tuple[int, ...], dtype: str, scales: Scales | None = None, name: str = "") -> Tensor:
        """Add a tensor that is computed, or given."""
        return self._tensor(shape, dtype, scales, name, 0, is_constant=False)

    def constant(self, value: NDArray[Any], scales: Scales | None = None) -> Tensor:
        """Add a constant."""
        self._buffers.append([Field(0, "bytes", np.ascontiguousarray(value).tobytes())])
        return self._tensor(value.shape, value.dtype.name, scales, "", len(self._buffers) - 1, is_constant=True)

    def _tensor(
        self, shape: tuple[int, ...], dtype: str, scales: Scales | None, name: str, buffer: int, *, is_constant: bool
    ) -> Tensor:
        index = len(self._tensors)
        table = [
            Field(0, "ints", shape if is_constant else (1, *shape)),
            Field(1, "Int8", _TYPES[dtype]),
            Field(2, "Uint32", buffer),
            Field(3, "text", name or f"t{index}"),
        ]
        if not is_constant:
            table.append(Field(7, "ints", (-1, *shape)))
        if scales is not None:
            zeros = [scales.zero] * len(scales.scales)
            quantization = [Field(2, "floats", scales.scales), Field(3, "longs", zeros), Field(6, "Int32", scales.axis)]
            table.append(Field(4, "table", quantization))
        self._tensors.append(table)
        return Tensor(index, tuple(shape), dtype, scales)

    def operator(self, kind: str, inputs: Sequence[Tensor], output: Tensor, **options: Any) -> Tensor:
        """Add an operator; its output."""
        number, options_number, places = _OPERATORS[kind]
        places = _POOL if kind.endswith("POOL_2D") else places
        version = _INT8_VERSIONS.get(kind, 2) if inputs[0].dtype == "int8" else 1
        code = self._codes.setdefault((number, version), len(self._codes))
        table = [
            Field(0, "Uint32", code),
            Field(1, "ints", [tensor.index for tensor in inputs]),
            Field(2, "ints", [output.index]),
        ]
        if options_number:
            if "activation" in options:
                options["activation"] = _RELU[options["activation"]]
            if "same" in options:
                options["same"] = 0 if options["same"] else 1
            fields = [Field(*places[name], value) for name, value in options.items()]
            table += [Field(3, "Uint8", options_number), Field(4, "table", fields)]
        self._operators.append(table)
        return output

    def content(self, images: Tensor, probabilities: Tensor, about: Mapping[str, str]) -> bytes:
        """The file.

        Args:
            images, probabilities: What goes in and comes out.
            about: Metadata.
        """
        metadata = []
        for name, text in about.items():
            self._buffers.append([Field(0, "bytes", text.encode())])
            metadata.append([Field(0, "text", name), Field(1, "Uint32", len(self._buffers) - 1)])
        subgraph = [
            Field(0, "tables", self._tensors),
            Field(1, "ints", [images.index]),
            Field(2, "ints", [probabilities.index]),
            Field(3, "tables", self._operators),
            Field(4, "text", "main"),
        ]
        codes = [
            [Field(0, "Int8", min(number, 127)), Field(2, "Int32", version), Field(3, "Int32", number)]
            for number, version in self._codes
        ]
        signature = [
            Field(0, "tables", [[Field(0, "text", "images"), Field(1, "Uint32", images.index)]]),
            Field(1, "tables", [[Field(0, "text", "probabilities"), Field(1, "Uint32", probabilities.index)]]),
            Field(2, "text", "serving_default"),
            Field(4, "Uint32", 0),
        ]
        return packed([
            Field(0, "Uint32", _VERSION),
            Field(1, "tables", codes),
            Field(2, "tables", [subgraph]),
            Field(3, "text", "Assay"),
            Field(4, "tables", self._buffers),
            Field(6, "tables", metadata),
            Field(7, "tables", [signature]),
        ])  # fmt: skip
