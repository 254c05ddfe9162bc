"""Selects the layers that an explanation can use, and reports those that it cannot."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import Problem, SpecError
from ..nets import LayerSummary, Summary

_COPIES = ("pool", "form")  # roles of layers whose output is another's in part, or in another form


def convolutions(summary: Summary) -> tuple[str, ...]:
    """Names of the layers that have kernels to draw: convolutions of every kind, in order."""
    return tuple(row.name for row in summary.layers if row.layer.role == "convolution")


def feature_maps(summary: Summary) -> tuple[str, ...]:
    """Names of the layers whose output is an image, and not only a pooled copy of another's."""
    rows = (row for row in summary.layers if len(row.output_shape) == 3 and row.layer.role not in _COPIES)
    return tuple(row.name for row in rows)


def kernel_layer(summary: Summary, layer: str | None = None) -> str:
    """The convolution of this name; the first one if ``None``.

    Raises:
        SpecError: The layer has no such kernels, or the network has none.
    """
    return _chosen(summary, layer, convolutions, 0, "no kernels to draw")


def map_layer(summary: Summary, layer: str | None = None) -> str:
    """The layer of this name that puts out feature maps.

    If ``None`` the last convolution with the normalization, activation or sum of paths that follows it before any
    pooling: what Grad-CAM's authors call the last convolutional layer.

    Raises:
        SpecError: The layer has no feature maps, or the network has no convolution.
    """
    chosen = _chosen(summary, layer, feature_maps, -1, "no feature maps")
    if layer is not None:
        return chosen
    chosen = kernel_layer(summary, convolutions(summary)[-1])
    if summary.own is not None:  # what reads it is not known
        return chosen
    for row in summary.layers:
        if chosen in row.inputs and len(row.output_shape) == 3 and row.layer.role not in (*_COPIES, "dropout"):
            chosen = row.name
    return chosen


def last_dense_layer(summary: Summary) -> str:
    """The last dense layer; the last layer of all where there is none."""
    return next((row for row in reversed(summary.layers) if row.layer.role == "dense"), summary.layers[-1]).name


def row_of(summary: Summary, layer: str) -> LayerSummary:
    """A layer by its name."""
    return next(row for row in summary.layers if row.name == layer)


def _chosen(
    summary: Summary, layer: str | None, having: Callable[[Summary], tuple[str, ...]], default: int, lacks: str
) -> str:
    names = having(summary)
    if not convolutions(summary):
        raise SpecError(Problem(f"no layer of the network is a convolution: it has {lacks}", "explain another network"))
    if layer is None:
        return names[default]
    if layer not in names:
        has = any(row.name == layer for row in summary.layers)
        what = f'layer "{layer}" has {lacks}' if has else f'the network has no layer "{layer}"'
        raise SpecError(Problem(what, f"name one of {', '.join(names)}"))
    return layer
