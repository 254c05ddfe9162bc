"""What the test images say of single networks, once they have been revealed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..measures import PERCENT
from ..numerals import counted, p_value
from ..spec import DATA
from ..stats import Interval, McNemar, image_bootstrap, mcnemar, share_interval
from ..store.records import StudyRecord
from .measured import measure_of
from .scores import arm_scores, ordered_arms


@dataclass(frozen=True)
class Network:
    """One finished run on the test images.

    Args:
        arm: Its arm.
        seed: Its seed, the first of the arm that was scored.
        share: Of images classified correctly, with Wilson's interval: for other images, not for other seeds.
    """

    arm: str
    seed: int
    share: Interval


@dataclass(frozen=True)
class Duel:
    """The two arms with the best mean score on validation images, on the same test images.

    Args:
        a, b: Their names, the better on validation second.
        seed: The seed whose two networks McNemar's test compares.
        mcnemar: How those two disagree.
        difference: b minus a in the share of right runs per image, over all seeds that both have: its interval is for
            other images with these networks.
        num_seeds: How many those are.
    """

    a: str
    b: str
    seed: int
    mcnemar: McNemar
    difference: Interval
    num_seeds: int

    @property
    def sentences(self) -> tuple[str, str]:
        """McNemar's test, and the bootstrap over images, without full stops."""
        test, difference = self.mcnemar, self.difference
        unit = PERCENT.within(difference.low, difference.high)
        numbers = f"{unit.change(difference.mean)} points {unit.changes(difference.low, difference.high)}"
        p_text = p_value(test.p_value)
        p_text = p_text if p_text.startswith("<") else f"= {p_text}"
        return (
            f"Of the networks of seed {self.seed}, {self.b} alone is right on "
            f"{counted(test.only_b, 'test image')} and {self.a} "
            f"alone on {test.only_a}, of {test.n:,}: McNemar's p {p_text}",
            f"Over {counted(self.num_seeds, 'seed')}, {self.b} minus {self.a} is {numbers} on these images "
            "(paired bootstrap over images: what "
            "other images would change, with the same networks)",
        )


def networks(study: StudyRecord) -> tuple[Network, ...]:
    """Each arm's first scored network."""
    scored = []
    for arm in ordered_arms(study):
        if hits := test_hits(study, arm.name):
            seed = min(hits)
            scored.append(Network(arm.name, seed, share_interval(int(hits[seed].sum()), len(hits[seed]))))
    return tuple(scored)


def duel(study: StudyRecord) -> Duel | None:
    """The two finalists; ``None`` where two arms do not share a scored seed.

    They are chosen by validation: chosen by the test, their difference would owe part of its size to luck.
    """
    if study.sets:  # arms on different data sets are no rivals
        return None
    sign = 1 if measure_of(study).higher_is_better else -1
    known = [(sign * arm.mean, arm) for arm in arm_scores(study) if arm.mean is not None]
    by_validation = [arm for _, arm in sorted(known, key=lambda pair: pair[0], reverse=True)]
    if len(by_validation) < 2:
        return None
    b, a = by_validation[0].arm, by_validation[1].arm
    ones, twos = test_hits(study, a), test_hits(study, b)
    seeds = sorted(ones.keys() & twos.keys())
    if not seeds:
        return None
    means = [np.mean([hits[seed] for seed in seeds], axis=0) for hits in (ones, twos)]
    test = mcnemar(ones[seeds[0]], twos[seeds[0]])
    return Duel(a, b, seeds[0], test, image_bootstrap(*means), len(seeds))


def network_sentence(network: Network) -> str:
    """An arm's first network with its interval, without its full stop."""
    share = network.share
    unit = PERCENT.within(share.low, share.high)
    return (
        f"{network.arm}, seed {network.seed}: {unit.value(share.mean)} of {counted(share.n, 'test image')} "
        f"{unit.interval(share.low, share.high)}"
    )


def test_hits(study: StudyRecord, arm: str) -> dict[int, NDArray[np.bool_]]:
    """Which test images each seed's run gets right; the first fold where there are folds."""
    data = next((one.levels.get(DATA, "") for one in study.arms if one.name == arm), "") if study.sets else ""
    count = int(study.data_on(data).get("num_test", 0))
    by_seed: dict[int, NDArray[np.bool_]] = {}
    for run in study.runs_of(arm):
        packed = study.test_hits.get(run.id)
        if packed is not None and run.seed not in by_seed:
            by_seed[run.seed] = _unpacked(packed, count)
    return by_seed


def validation_hits(study: StudyRecord, arm: str) -> dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Each seed's validation images, as ascending indices, and which of them its run gets right; the first fold."""
    by_seed: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
    for run in study.runs_of(arm):
        if run.id in study.validation_hits and run.seed not in by_seed:
            name, packed = study.validation_hits[run.id]
            images = study.image_sets[name]
            by_seed[run.seed] = images, _unpacked(packed, len(images))
    return by_seed


def _unpacked(packed: bytes, count: int) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(packed, dtype=np.uint8), count=count).astype(bool)
