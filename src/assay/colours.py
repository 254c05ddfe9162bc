"""The colours of every figure, distinguishable with every kind of colour vision.

Okabe and Ito (2008), "Color Universal Design". Their black, which would vanish in the dark, becomes grey; their yellow,
which vanishes on white, is left out.
"""

from __future__ import annotations

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY = COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#8C8C8C",
)
