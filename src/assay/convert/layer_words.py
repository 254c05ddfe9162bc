"""Layer words of single Keras layers."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import nearest
from ..nets import Layer
from ..nets.keras import Settings, Signature, Unfit
from ..nets.kinds import spelled
from ..nets.layers import KERAS
from .configs import LayerConfig

# Layers of Keras that a study has elsewhere than among its layer words.
_ELSEWHERE = (
    Signature("Input(shape=None, batch_size=None, dtype=None, name=None)"),
    Signature("InputLayer(shape=None, batch_size=None)"),
    Signature("Rescaling(scale, offset=0.0)"),
    Signature("Resizing(height, width, interpolation='bilinear', crop_to_aspect_ratio=False)"),
    Signature("RandomFlip(mode='horizontal_and_vertical')"),
    Signature("RandomRotation(factor, fill_mode='reflect', interpolation='bilinear', seed=None, fill_value=0.0)"),
    Signature("RandomTranslation(height_factor, width_factor, fill_mode='reflect', interpolation='bilinear')"),
    Signature("RandomZoom(height_factor, width_factor=None, fill_mode='reflect', interpolation='bilinear')"),
)
SIGNATURES: Mapping[str, Signature] = {
    **{name: signature for name, (signature, _) in KERAS.items()},
    **{signature.name: signature for signature in _ELSEWHERE},
}


def initial_notes(config: LayerConfig) -> list[str]:
    """A note on initial kernels that are drawn otherwise here, as they have no words."""
    given = config.settings.get("kernel_initializer") or config.settings.get("depthwise_initializer")
    name = given.get("class_name") if isinstance(given, Mapping) else given
    if not isinstance(name, str) or spelled(name) in ("glorotuniform", "xavieruniform"):
        return []
    return [f"Kernels that begin as {name[:40]} begin as Glorot-uniform here."]


def layer_of(config: LayerConfig) -> Layer:
    """The layer that one of Keras's means.

    Raises:
        Unfit: There are no words for it, or for one of its settings.
    """
    if config.kind not in KERAS:
        raise Unfit(*_unknown(config.kind))
    signature, layer_class = KERAS[config.kind]
    settings = Settings(signature, config.settings)
    layer = layer_class.from_keras(settings)
    settings.refuse_unread()
    return layer


def _unknown(kind: str) -> tuple[str, str]:
    if kind == "Lambda":
        return "it holds code, which is never run", "use layers that have words (docs/reference/study-file.md)"
    if kind.startswith("Random") or kind in ("CenterCrop", "Resizing", "Rescaling", "Normalization"):
        return "it stands behind other layers", "put it first: scaling and augmentation come before a network here"
    return "there are no words for this layer", nearest(kind, list(KERAS))
