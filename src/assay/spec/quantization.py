"""The number formats that a network is trained for: bits of weights and activations."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, Field, field_validator

from ..errors import Problem
from .base import Problems, Spec
from .schedule import accept_placeholders

WeightBits = Literal[8, 4, 2, "ternary"]
ActivationBits = Literal[8, 4]
WEIGHT_BITS: tuple[WeightBits, ...] = (8, 4, 2, "ternary")


class Quantization(Spec):
    """Train for a fixed-point program (quantization-aware training). The C export then computes with the same numbers.

    Weights and activations are symmetric around zero. Each output channel has a scale of its own.

    Args:
        weights: Bits of a weight: 8, 4 or 2; or ``"ternary"`` for -1, 0 and 1 times the channel's scale.
        activations: Bits of an activation: 8 or 4. Activations after relu are unsigned.
        powers_of_two: Use powers of two as the scales of weights.
        layers: Other bits for single layers, by the names that ``assay describe`` shows.

    Example:
        >>> quantization = assay.Quantization(weights=4, layers={"conv1": 8})
        >>> quantization.bits_of("conv1"), quantization.bits_of("dense1")
        (8, 4)
    """

    HINTS: ClassVar[dict[str, str]] = {
        "bits": "write weights = 4, activations = 8",
        "weight_bits": "write weights = 4",
        "activation_bits": "write activations = 8",
        "per_channel": "leave it out: every output channel has a scale of its own",
        "scheme": "leave it out: weights and activations are symmetric around zero",
    }
    model_config = ConfigDict(json_schema_extra=accept_placeholders)

    weights: WeightBits = 8
    activations: ActivationBits = 8
    powers_of_two: bool = Field(default=False, strict=True)
    layers: dict[str, WeightBits] = Field(default_factory=dict)

    def bits_of(self, layer: str) -> WeightBits:
        """Return the bits of a layer's weights.

        Args:
            layer: The layer's name.
        """
        return self.layers.get(layer, self.weights)

    @field_validator("weights", mode="before")
    @classmethod
    def _has_weight_bits(cls, value: Any) -> Any:
        return _known(value, WEIGHT_BITS)

    @field_validator("activations", mode="before")
    @classmethod
    def _has_activation_bits(cls, value: Any) -> Any:
        return _known(value, (8, 4))

    @field_validator("layers", mode="before")
    @classmethod
    def _layers_have_weight_bits(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"got {value!r}; give a table such as {{ conv1 = 8, dense1 = 4 }}")
        problems = []
        for name, bits in value.items():
            try:
                _known(bits, WEIGHT_BITS)
            except ValueError as error:
                problems.append(Problem(str(error), "", str(name)))
        if problems:
            raise Problems(problems)
        return value


def _known(value: Any, allowed: tuple[Any, ...]) -> Any:
    """A width that there is.

    Raises:
        ValueError: There is none.
    """
    if isinstance(value, bool) or value not in allowed:
        names = [f'"{one}"' if isinstance(one, str) else str(one) for one in allowed]
        raise ValueError(f"got {value!r}; give {', '.join(names[:-1])} or {names[-1]}")
    return value
