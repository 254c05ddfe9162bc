"""ResNet-18 without its dense layer, in torchvision's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .definition import Definition, Layout, Lines

_NORM = "batchnorm epsilon=1e-05 momentum=0.9"  # torch's momentum 0.1 is the share of the new value
_WIDTHS = (64, 128, 256, 512)


def _residual(width: int, stride: int) -> dict[str, Lines]:
    first = f"conv {width} 3x3 padding=1 bias=false" + (f" stride={stride}" if stride > 1 else "")
    block: dict[str, Lines] = {"residual": [first, _NORM, "relu", f"conv {width} 3x3 padding=1 bias=false", _NORM]}
    if stride > 1:
        block["shortcut"] = [f"conv {width} 1x1 stride={stride} bias=false", _NORM]
    return {**block, "activation": "relu"}


def _blocks(layout: Layout) -> Mapping[str, Lines]:
    stem = ["conv 64 7x7 padding=3 stride=2 bias=false", _NORM, "relu", "maxpool 3 stride=2 padding=1"]
    stages = {
        f"block{number}": [_residual(width, 1 if number == 2 else 2), _residual(width, 1)]
        for number, width in enumerate(_WIDTHS, start=2)
    }
    return {"block1": stem, **stages}


def _torchvision() -> Sequence[str]:
    keys = ["conv1", "bn1"]
    for stage in range(1, 5):
        for unit in range(2):
            parts = ["conv1", "bn1", "conv2", "bn2"]
            parts += ["downsample.0", "downsample.1"] if stage > 1 and unit == 0 else []
            keys += [f"layer{stage}.{unit}.{part}" for part in parts]
    return keys


RESNET18 = Definition(
    name="resnet18",
    title="ResNet-18",
    source="He et al. (2016), Deep residual learning for image recognition",
    blocks=_blocks,
    keys={"torch": _torchvision},
    pixels={"torch": "torch"},
)
