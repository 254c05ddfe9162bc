"""The colour and mark of each arm, the same in every figure and table."""

from __future__ import annotations

from dataclasses import dataclass

from ..colours import COLOURS
from ..store.records import StudyRecord

_SHAPES = (("circle", "●"), ("square", "■"), ("diamond", "◆"), ("triangle-up", "▲"))
_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class ArmStyle:
    """How an arm is drawn. Beyond seven arms colours come round again with another shape and dash."""

    colour: str
    symbol: str
    glyph: str
    dash: str

    @property
    def band(self) -> str:
        """The colour, thinned for the area of an interval."""
        red, green, blue = (int(self.colour[at : at + 2], 16) for at in (1, 3, 5))
        return f"rgba({red},{green},{blue},0.16)"


def _style(index: int) -> ArmStyle:
    round_ = index // len(COLOURS) % len(_SHAPES)
    symbol, glyph = _SHAPES[round_]
    return ArmStyle(COLOURS[index % len(COLOURS)], symbol, glyph, _DASHES[round_])


PALETTE = tuple(_style(index) for index in range(len(COLOURS) * len(_SHAPES)))


def arm_styles(study: StudyRecord) -> dict[str, ArmStyle]:
    """The look of every arm of a study, by name, in the study's order."""
    arms = sorted(study.arms, key=lambda arm: arm.position)
    return {arm.name: _style(index) for index, arm in enumerate(arms)}
