"""VGG16 and VGG19 without their dense layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .definition import Definition, Layout, Lines

_FILTERS = (64, 128, 256, 512, 512)
_SOURCE = "Simonyan and Zisserman (2015), Very deep convolutional networks for large-scale image recognition"


def _vgg(name: str, title: str, depths: tuple[int, ...]) -> Definition:
    def blocks(layout: Layout) -> Mapping[str, Lines]:
        return {
            f"block{number}": [*[f"conv {filters} 3x3 relu padding=same"] * depth, "maxpool 2"]
            for number, (filters, depth) in enumerate(zip(_FILTERS, depths, strict=True), start=1)
        }

    def keras() -> Sequence[str]:
        return [f"block{b}_conv{c}" for b, depth in enumerate(depths, start=1) for c in range(1, depth + 1)]

    def torchvision() -> Sequence[str]:
        places, place = [], 0
        for depth in depths:
            places += [f"features.{place + 2 * layer}" for layer in range(depth)]
            place += 2 * depth + 1  # a convolution and its relu each, then the pooling
        return places

    pixels = {"keras": "caffe", "torch": "torch"}
    return Definition(name, title, _SOURCE, blocks, {"keras": keras, "torch": torchvision}, pixels)  # type: ignore[arg-type]


VGG16 = _vgg("vgg16", "VGG16", (2, 2, 3, 3, 3))
VGG19 = _vgg("vgg19", "VGG19", (2, 2, 4, 4, 4))
