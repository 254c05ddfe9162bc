"""Main effects and two-way interactions of crossed factors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .checks import are_finite, finite_scores, numbers


@dataclass(frozen=True)
class Effect:
    """The effect of a factor, or an interaction of two factors, as weights of arms.

    Args:
        factor: The factor.
        low: Its first level.
        high: The level that is compared with it.
        weights: One for each arm; they sum to 0.
        by: For an interaction, the other factor; empty for a main effect.
        by_low: The other factor's first level.
        by_high: The level that is compared with it.
    """

    factor: str
    low: str
    high: str
    weights: tuple[float, ...]
    by: str = ""
    by_low: str = ""
    by_high: str = ""

    @property
    def is_interaction(self) -> bool:
        """Whether it is an interaction of two factors."""
        return bool(self.by)


def factors_of(levels: Sequence[Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Factors with two levels or more, levels in order of appearance.

    Empty where the arms are not every combination of levels, each once: then no effect can be averaged fairly.
    """
    if not levels or any(set(arm) != set(levels[0]) for arm in levels):
        return {}
    factors = {factor: tuple(dict.fromkeys(arm[factor] for arm in levels)) for factor in levels[0]}
    cells = {tuple(arm[factor] for factor in factors) for arm in levels}
    if len(cells) != len(levels) or len(cells) != len(list(itertools.product(*factors.values()))):
        return {}
    return {factor: names for factor, names in factors.items() if len(names) > 1}


def effects(levels: Sequence[Mapping[str, str]]) -> tuple[Effect, ...]:
    """Main effects, then two-way interactions, of arms that cross their factors.

    A main effect is a level's mean over all combinations of the other factors, minus the first level's; an interaction
    is how much an effect differs between two levels of another factor. Each is one number for a block (a seed), so
    that it is tested as a paired difference is.

    Args:
        levels: Each arm's levels by factor.

    Source: Fisher (1935), "The Design of Experiments", chapter 6; Montgomery, "Design and Analysis of Experiments".
    """
    factors = factors_of(levels)
    contrasts = [
        Effect(factor, names[0], high, _weights(levels, {factor: (names[0], high)}))
        for factor, names in factors.items()
        for high in names[1:]
    ]
    for (first, first_levels), (second, second_levels) in itertools.combinations(factors.items(), 2):
        for high, by_high in itertools.product(first_levels[1:], second_levels[1:]):
            weights = _weights(levels, {first: (first_levels[0], high), second: (second_levels[0], by_high)})
            contrasts.append(Effect(first, first_levels[0], high, weights, second, second_levels[0], by_high))
    return tuple(contrasts)


def effect_values(scores: npt.ArrayLike, weights: Sequence[float]) -> npt.NDArray[np.float64]:
    """The effect in each block.

    Args:
        scores: [blocks, arms].
        weights: [arms].

    Raises:
        ValueError: The shapes do not fit, or a number is not finite.
    """
    values, factors = numbers(scores), finite_scores(weights)
    if values.ndim != 2 or values.shape[1] != len(factors) or not are_finite(values):
        raise ValueError(f"got shape {values.shape} for {len(factors)} weights; give finite scores [blocks, arms]")
    return np.asarray(values @ factors)


def _weights(levels: Sequence[Mapping[str, str]], changed: Mapping[str, tuple[str, str]]) -> tuple[float, ...]:
    signs = [
        float(math.prod((arm[factor] == high) - (arm[factor] == low) for factor, (low, high) in changed.items()))
        for arm in levels
    ]
    cells = sum(sign != 0 for sign in signs) / 2 ** len(changed)
    return tuple(sign / cells for sign in signs)
