"""SqueezeNet 1.1 without its last convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .definition import Definition, Layout, Lines

_SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}


def _fire(number: int) -> Lines:
    squeezed = _SQUEEZED[number]
    expanded = [[f"conv {4 * squeezed} 1x1 relu"], [f"conv {4 * squeezed} 3x3 relu padding=same"]]
    return [f"conv {squeezed} 1x1 relu", {"parallel": expanded}]


def _blocks(layout: Layout) -> Mapping[str, Lines]:
    return {
        "block1": ["conv 64 3x3 relu stride=2", "maxpool 3 stride=2"],
        "block2": [*_fire(2), *_fire(3), "maxpool 3 stride=2"],
        "block3": [*_fire(4), *_fire(5), "maxpool 3 stride=2"],
        "block4": [*_fire(6), *_fire(7)],
        "block5": [*_fire(8), *_fire(9)],
    }


def _keras() -> Sequence[str]:
    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    return ["conv1", *(f"fire{number}/{part}" for number in _SQUEEZED for part in parts)]


SQUEEZENET = Definition(
    name="squeezenet",
    title="SqueezeNet 1.1",
    source="Iandola et al. (2016), SqueezeNet: AlexNet-level accuracy with 50x fewer parameters",
    blocks=_blocks,
    keys={"keras": _keras},
    pixels={"keras": "caffe"},
)
