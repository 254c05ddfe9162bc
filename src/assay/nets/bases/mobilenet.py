"""MobileNetV2 of width 1 without its dense layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .definition import Definition, Layout, Lines

# Expansion, channels, units, stride of the first: table 2 of the paper.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
# Blocks are the parts between halvings of the image.
_STAGES_OF = {"block1": (0,), "block2": (1,), "block3": (2,), "block4": (3, 4), "block5": (5, 6)}


def _norm(layout: Layout) -> str:
    return "batchnorm momentum=0.999" if layout == "keras" else "batchnorm epsilon=1e-05 momentum=0.9"


def _unit(layout: Layout, inputs: int, expansion: int, channels: int, stride: int) -> list[object]:
    norm, padding = _norm(layout), "same" if layout == "keras" else "1"
    wide = [f"conv {inputs * expansion} 1x1 bias=false", norm, "relu6"] if expansion > 1 else []
    moved = f"depthwise 3x3 padding={padding} bias=false" + (f" stride={stride}" if stride > 1 else "")
    lines = [*wide, moved, norm, "relu6", f"conv {channels} 1x1 bias=false", norm]
    return [{"residual": lines}] if stride == 1 and inputs == channels else list(lines)


def _units() -> Iterator[tuple[int, int, int, int, int]]:
    """Stage, input channels, expansion, channels and stride of every unit."""
    inputs = 32
    for stage, (expansion, channels, units, stride) in enumerate(_STAGES):
        for unit in range(units):
            yield stage, inputs, expansion, channels, stride if unit == 0 else 1
            inputs = channels


def _blocks(layout: Layout) -> Mapping[str, Lines]:
    padding = "same" if layout == "keras" else "1"
    blocks: dict[str, list[object]] = {
        name: [line for stage, *unit in _units() if stage in stages for line in _unit(layout, *unit)]
        for name, stages in _STAGES_OF.items()
    }
    blocks["block1"][:0] = [f"conv 32 3x3 padding={padding} stride=2 bias=false", _norm(layout), "relu6"]
    blocks["block5"] += ["conv 1280 1x1 bias=false", _norm(layout), "relu6"]
    return blocks


def _keras() -> Sequence[str]:
    keys = ["Conv1", "bn_Conv1"]
    for number, (_, _, expansion, _, _) in enumerate(_units()):
        unit = f"block_{number}" if number else "expanded_conv"
        parts = (["expand"] if expansion > 1 else []) + ["depthwise", "project"]
        keys += [f"{unit}_{part}{norm}" for part in parts for norm in ("", "_BN")]
    return [*keys, "Conv_1", "Conv_1_bn"]


def _torchvision() -> Sequence[str]:
    keys = ["features.0.0", "features.0.1"]
    for number, (_, _, expansion, _, _) in enumerate(_units(), start=1):
        nested = 2 if expansion > 1 else 1
        parts = [f"{part}.{place}" for part in range(nested) for place in (0, 1)] + [str(nested), str(nested + 1)]
        keys += [f"features.{number}.conv.{part}" for part in parts]
    return [*keys, "features.18.0", "features.18.1"]


MOBILENETV2 = Definition(
    name="mobilenetv2",
    title="MobileNetV2",
    source="Sandler et al. (2018), MobileNetV2: inverted residuals and linear bottlenecks",
    blocks=_blocks,
    keys={"keras": _keras, "torch": _torchvision},
    pixels={"keras": "tf", "torch": "torch"},
)
