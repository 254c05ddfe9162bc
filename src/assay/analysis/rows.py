"""The contrasts of a study before they are judged: which arms each weighs, and its values by seed."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..measures import Measure
from ..spec import DATA, fingerprint, without_data
from ..stats import PLAIN, Effect, Wording, effects
from ..store.records import ArmRecord, StudyRecord
from .grid import Split, grid_of, ordered_arms, sum_folds
from .scores import rule_of

MAX_RANKED = 26  # arms of which every two are compared


@dataclass(frozen=True)
class Row:
    """A weighted sum of arms' scores, one number a seed.

    Args:
        a: Name of the arm, or of the level, that is subtracted.
        b: Name of the arm, or of the level, compared with it.
        arms: The arms that it needs.
        weights: One for each of them; they sum to 0.
        wording: The phrases of its verdict.
        effect: The effect of a factor; ``None`` where two arms are compared.
        data: The data set that its arms learn from, of a study on several; empty for any other.
    """

    a: str
    b: str
    arms: tuple[str, ...]
    weights: tuple[float, ...]
    wording: Wording = PLAIN
    effect: Effect | None = None
    data: str = ""


def worded(row: Row, measure: Measure) -> Wording:
    """The phrases of a row's verdict by this measure."""
    if row.wording is PLAIN:
        return Wording.of(measure.label, higher_is_better=measure.higher_is_better)
    return row.wording if measure.higher_is_better else row.wording.turned()


def has_interactions(study: StudyRecord) -> bool:
    """Whether several factors are crossed, so that effects say more than arms do."""
    return not rule_of(study).stop and any(effect.is_interaction for effect in _effects(study))


def planned_rows(study: StudyRecord) -> tuple[Row, ...]:
    """What the study asks: the effects of crossed factors, or else every arm against the first. One family.

    On several data sets it asks that on each.
    """
    if has_interactions(study):
        return effect_rows(study)
    return tuple(
        pair_row(arms[0].name, other.name, data) for data, arms in arms_by_data(study).items() for other in arms[1:]
    )


def unplanned_rows(study: StudyRecord) -> tuple[Row, ...]:
    """Every other two arms, the later one against the earlier; none where there are too many arms for that, nor of
    arms on different data sets."""
    if len(study.arms) > MAX_RANKED:
        return ()
    planned = {frozenset(row.arms) for row in planned_rows(study) if row.effect is None}
    return tuple(
        pair_row(a.name, b.name, data)
        for data, arms in arms_by_data(study).items()
        for a, b in itertools.combinations(arms, 2)
        if frozenset((a.name, b.name)) not in planned
    )


def arms_by_data(study: StudyRecord) -> dict[str, tuple[ArmRecord, ...]]:
    """The arms in the study's order, by the data set that they learn from; all under "" where there is one only."""
    arms = ordered_arms(study)
    if not study.sets:
        return {"": arms} if arms else {}
    return {name: tuple(arm for arm in arms if arm.levels.get(DATA) == name) for name in study.sets}


def pair_row(a: str, b: str, data: str = "") -> Row:
    """Arm b minus arm a."""
    return Row(a, b, (a, b), (-1.0, 1.0), data=data)


def label_of(study: StudyRecord, arm: str) -> str:
    """What an arm is called beside others on the same data set."""
    levels = next((one.levels for one in study.arms if one.name == arm), {})
    return without_data(arm, levels, study.name) if study.sets else arm


def effect_rows(study: StudyRecord) -> tuple[Row, ...]:
    """Main effects and two-way interactions of factors that are fully crossed.

    None where the arms are not every combination of levels, and where arms may stop by themselves: then later seeds
    have no complete blocks.
    """
    if rule_of(study).stop:
        return ()
    return tuple(
        replace(_effect_row([arm.name for arm in arms], effect), data=data)
        for data, arms in arms_by_data(study).items()
        for effect in _effects(study)
    )


def _effects(study: StudyRecord) -> tuple[Effect, ...]:
    """The effects of crossed factors, on one data set."""
    if _effects not in study.cached:
        arms = next(iter(arms_by_data(study).values()), ())
        levels = [{factor: level for factor, level in arm.levels.items() if factor != DATA} for arm in arms]
        study.cached[_effects] = effects(levels if study.sets else [arm.levels for arm in arms])
    result: tuple[Effect, ...] = study.cached[_effects]
    return result


def _effect_row(names: Sequence[str], effect: Effect) -> Row:
    weighted = [(arm, weight) for arm, weight in zip(names, effect.weights, strict=True) if weight]
    arms, weights = tuple(arm for arm, _ in weighted), tuple(weight for _, weight in weighted)
    if not effect.is_interaction:
        return Row(f"{effect.factor} {effect.low}", f"{effect.factor} {effect.high}", arms, weights, effect=effect)
    change = f"{effect.factor} {effect.low} to {effect.high}"
    wording = Wording(
        better=f"The effect of {change} is larger with {{b}} than with {{a}}, by {{x}}",
        worse=f"The effect of {change} is smaller with {{b}} than with {{a}}, by {{x}}",
        undecided=f"No clear interaction: from {{a}} to {{b}} the effect of {change} changed by {{x}}",
        equivalent=f"No interaction that matters: between {{a}} and {{b}} the effect of {change} differs by {{x}}",
        equal=f"No interaction seen: the effect of {change} is the same with {{a}} and {{b}} on all {{n}}",
    )
    return Row(
        f"{effect.by} {effect.by_low}", f"{effect.by} {effect.by_high}", arms, weights, wording=wording, effect=effect
    )


def arm_ids(study: StudyRecord) -> dict[str, str]:
    """What identifies each arm's results across changes of the study's file: its network, training, data, streams.

    Arms that differ in none of these are numbered in the study's order, so that each keeps its own contrast.
    """
    if arm_ids not in study.cached and study.source:  # of what a run elsewhere is made, nothing is known but its name
        study.cached[arm_ids] = {arm.name: f"{study.name}/{arm.name}" for arm in ordered_arms(study)}
    if arm_ids not in study.cached:
        design = study.design
        ids: dict[str, str] = {}
        twins: Counter[str] = Counter()
        for arm in ordered_arms(study):
            name = arm.levels.get(DATA, "") if study.sets else ""
            spec = design.data.on(name) if name else design.data
            data = {**spec.learning_from(arm.design.images).identity(), "content": study.data_on(name).get("content")}
            rest = {"data": data, "vary": sorted(design.seeds.vary), "start": design.seeds.start}
            identity = fingerprint({"arm": arm.design.identity(), **rest})[:16]
            twins[identity] += 1
            ids[arm.name] = identity if twins[identity] == 1 else f"{identity}-{twins[identity]}"
        study.cached[arm_ids] = ids
    result: dict[str, str] = study.cached[arm_ids]
    return result


def key_of(study: StudyRecord, row: Row) -> str:
    """What identifies a contrast: the arms that it weighs, whatever they are called and whichever comes first."""
    ids = arm_ids(study)
    weighted = sorted((ids[arm], round(weight, 9)) for arm, weight in zip(row.arms, row.weights, strict=True))
    sign = 1 if not weighted or weighted[0][1] > 0 else -1  # the same contrast seen from its other side
    content: list[list[object]] = [[arm, sign * weight] for arm, weight in weighted]
    if study.design.metric is not None:  # what is asked of another measure is another question
        content.append(["metric", study.design.metric])
    return fingerprint(content)[:16]


def places_of(study: StudyRecord, row: Row) -> list[int]:
    """Where the arms stand that a contrast needs, in the study's grid."""
    places = grid_of(study).places
    return [places[arm] for arm in row.arms]


def values_of(row: Row, scores: NDArray[np.float64], split: Split) -> NDArray[np.float64]:
    """The weighted sum for each seed [seeds], or for each of its folds [seeds, folds].

    On the test split, folds are repetitions on the same images: their mean counts.

    Args:
        row: The contrast.
        scores: Of its arms [arms, seeds, folds].
        split: Whose they are.
    """
    if not scores.shape[1]:
        return np.zeros(0)
    folds = np.einsum("a,asf->sf", np.array(row.weights), scores)
    has_folds = split == "validation" and folds.shape[1] > 1
    return folds if has_folds else sum_folds(folds)
