"""Activations as layers, fixed and learned, and what each activation cites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Literal

from ..effects import Effect, Shape
from ..keras import Settings, Signature, Unfit, short
from ..kinds import Activation, Weight, choice
from ..parameters import Parameter
from .record import Citation, Layer

SharingName = Literal["value", "channel", "layer"]
Sharing = Annotated[SharingName, choice(SharingName)]

_SLOPE = (
    "leakyrelu has 0.2 here, as keras.activations.leaky_relu: give negative_slope=0.2, or write the network as a "
    "module of your own (docs/guides/own-code.md)"
)
CITED_ACTIVATIONS: Mapping[str, Citation] = {
    "gelu": Citation("hendrycks2016gaussian", "GELU"),
    "elu": Citation("clevert2016fast", "ELU"),
    "silu": Citation("elfwing2018sigmoid", "SiLU"),
}


@dataclass(frozen=True)
class Activate(Layer):
    """The activation alone; its bare name will do."""

    word = "activation"
    role = "activation"
    keras = (
        Signature("Activation(activation)"),
        Signature("ReLU(max_value=None, negative_slope=0.0, threshold=0.0)"),
        Signature("LeakyReLU(negative_slope=0.3)"),
        Signature("ELU(alpha=1.0)"),
        Signature("Softmax(axis=-1)"),
    )

    activation: Activation

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return Effect(shape)

    @classmethod
    def from_keras(cls, settings: Settings) -> Activate:
        match settings.name:
            case "ReLU":
                return cls(_relu(settings))
            case "LeakyReLU":
                slope = settings.get("alpha", settings.get("negative_slope"))  # alpha in Keras 2
                if slope != 0.2:
                    raise Unfit(f"its slope is {short(slope)}", _SLOPE)
                return cls("leakyrelu")
            case "ELU" | "Softmax":
                return cls("elu" if settings.name == "ELU" else "softmax")
        return cls(settings.activation())


def _relu(settings: Settings) -> Activation:
    slope, most = settings.get("negative_slope"), settings.get("max_value")
    if most is not None and not slope:
        settings.must_be("max_value", None, 6, 6.0)
        return "relu6"
    settings.must_be("max_value", None)
    if slope not in (0, 0.2):
        raise Unfit(f"negative_slope is {short(slope)}", _SLOPE)
    return "leakyrelu" if slope else "relu"


@dataclass(frozen=True)
class PReLU(Layer):
    """Relu with a learned slope below zero: one for each value, for each channel or unit, or for the whole layer."""

    word = "prelu"
    role = "activation"
    cites = Citation("he2015delving", "PReLU")
    keras = (
        Signature("PReLU(alpha_initializer='Zeros', alpha_regularizer=None, alpha_constraint=None, shared_axes=None)"),
    )

    _: KW_ONLY
    per: Sharing = "value"
    slope: Weight = 0.0

    def effect(self, shape: Shape, num_classes: int) -> Effect:
        return Effect(shape)

    def parameters(self, shape: Shape, num_classes: int) -> tuple[Parameter, ...]:
        own = {"value": shape, "channel": (*[1] * (len(shape) - 1), shape[-1]), "layer": (1,) * len(shape)}[self.per]
        return (Parameter("alpha", own, axes=(2, 0, 1) if len(shape) == 3 else ()),)

    @classmethod
    def from_keras(cls, settings: Settings) -> PReLU:
        axes = settings.get("shared_axes") or ()
        sharing: dict[Any, SharingName] = {(): "value", (1, 2): "channel", (1, 2, 3): "layer"}
        if not isinstance(axes, list | tuple) or tuple(axes) not in sharing:
            raise Unfit(f"shared_axes is {short(axes)}", "give None, [1, 2] or [1, 2, 3]")
        return cls(per=sharing[tuple(axes)], slope=_first_slope(settings.get("alpha_initializer")))


def _first_slope(initializer: Any) -> float:
    """The slope that all begin with."""
    name: Any = initializer
    config: Any = {}
    if isinstance(initializer, Mapping):
        name, config = initializer.get("class_name"), initializer.get("config") or {}
    if isinstance(name, str) and name.lower() in ("zeros", "zero"):
        return 0.0
    slope = config.get("value") if isinstance(config, Mapping) else None
    if name != "Constant" or not isinstance(slope, int | float) or not 0 <= slope < 1e9:
        raise Unfit(f"alpha_initializer is {short(initializer)}", 'give "zeros" or Constant(0.25)')
    return float(slope)


WORDS = (Activate, PReLU)
