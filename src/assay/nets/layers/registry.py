"""All layer words, and the classes of Keras that they stand for."""

from __future__ import annotations

from collections.abc import Mapping

from ..keras import Signature
from ..kinds import spelled
from . import activations, convolutions, dense, dropouts, forms, norms, pools
from .record import Citation, Layer

_FAMILIES = (
    convolutions.WORDS, norms.WORDS, pools.WORDS, dropouts.WORDS, forms.WORDS, dense.WORDS, activations.WORDS,
)  # fmt: skip
_BLOCKS = {
    "residual": Citation("he2016deep", "residual blocks"),
    "parallel": Citation("szegedy2015going", "parallel branches"),
}

WORDS: Mapping[str, type[Layer]] = {layer.word: layer for family in _FAMILIES for layer in family}
# By the name of each class of Keras: how it is called, and which layer it means.
KERAS: Mapping[str, tuple[Signature, type[Layer]]] = {
    name: (signature, layer)
    for layer in WORDS.values()
    for signature in layer.keras
    for name in (signature.name, *signature.aliases)
}
SPELLINGS: Mapping[str, tuple[Signature, type[Layer]]] = {spelled(name): entry for name, entry in KERAS.items()}
CITATIONS: Mapping[str, Citation] = {
    **{word: layer.cites for word, layer in WORDS.items() if layer.cites is not None},
    **_BLOCKS,
    **activations.CITED_ACTIVATIONS,
    "whitening": Citation("jordan2024airbench", "whitened patches"),
}
