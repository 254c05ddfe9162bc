"""A measure of which scores alone are known, because somebody else computed them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, Problem
from .measure import Measure
from .predictions import Predictions
from .unit import PERCENT


@dataclass(frozen=True)
class ReportedMeasure(Measure):
    """Scores that come with their runs: nothing computes them, so no image's part in them is known."""

    def value(self, predictions: Predictions) -> float:
        raise self._unknown()

    def influence(self, predictions: Predictions) -> NDArray[np.float64]:
        raise self._unknown()

    @property
    def bounds(self) -> tuple[float, float]:
        return (0.0, 1.0) if self.unit == PERCENT else (-math.inf, math.inf)

    def _unknown(self) -> DataError:
        return DataError(Problem(f"{self.label} was reported, not computed", "give its scores"))
