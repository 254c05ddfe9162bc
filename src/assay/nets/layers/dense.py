"""Fully connected layers."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass

from ..effects import Effect, Image, Shape, shape_text
from ..keras import Settings, Signature
from ..kinds import Activation, DenseInit, Flag, Units, Weight
from ..parameters import Parameter
from ..receptive import ReceptiveField, whole
from .record import Layer


@dataclass(frozen=True)
class Dense(Layer):
    """Every unit from every input, with a bias, then the activation; "classes" is the number of classes."""

    word = "dense"
    role = "dense"
    keras = (
        Signature(
            "Dense(units, activation=None, use_bias=True, kernel_initializer='glorot_uniform', "
            "bias_initializer='zeros', kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None, "
            "kernel_constraint=None, bias_constraint=None, lora_rank=None, lora_alpha=None, quantization_config=None)"
        ),
    )

    units: Units
    activation: Activation = "linear"
    _: KW_ONLY
    bias: Flag = True
    l1: Weight = 0.0
    l2: Weight = 0.0
    init: DenseInit = "glorot"

    @property
    def gives_vector(self) -> bool:
        return True

    def num_units(self, num_classes: int) -> int:
        """How many units it has, with "classes" resolved."""
        return num_classes if self.units == "classes" else self.units

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        units = self.num_units(num_classes)
        broken = "" if len(shape) == 1 else f"gets an image of {shape_text(shape)}, not a vector"
        fix = 'add "flatten" before it (Keras would apply it at each position; here that is not meant)'
        return Effect((units,), 2 * math.prod(shape) * units, broken, fix)

    def parameters(self, shape: Shape, num_classes: int) -> tuple[Parameter, ...]:
        units = self.num_units(num_classes)
        kernel = Parameter("kernel", (shape[-1], units), axes=(1, 0))
        return (kernel, Parameter("bias", (units,))) if self.bias else (kernel,)

    def field(self, field: ReceptiveField, shape: Shape, image: Image) -> ReceptiveField:
        return whole(image, is_vector=True)

    @classmethod
    def from_keras(cls, settings: Settings) -> Dense:
        l1, l2 = settings.penalties("kernel_regularizer")
        units = settings.count("units")
        return cls(units, settings.activation(), bias=settings.flag("use_bias"), l1=l1, l2=l2)


WORDS = (Dense,)
