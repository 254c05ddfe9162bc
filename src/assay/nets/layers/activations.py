"""Activations as layers, and what each activation cites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..effects import Effect, Shape
from ..keras import Settings, Signature, Unfit, short
from ..kinds import Activation
from .record import Citation, Layer

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
                    fix = "leakyrelu has 0.2 here, as keras.activations.leaky_relu"
                    raise Unfit(f"its slope is {short(slope)}", fix)
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
        raise Unfit(f"negative_slope is {short(slope)}", "leakyrelu has 0.2 here")
    return "leakyrelu" if slope else "relu"


WORDS = (Activate,)
