"""What to know about a study before it runs: doubtful settings, and what frozen bases cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data import DatasetInfo, info_of, num_learned, num_validation
from ..nets import Summary
from ..nets.layers import BatchNorm
from ..numerals import counted
from ..spec import Arm, Study
from ..stats.moving_average import MOST_KEPT, kept_share, kept_text, lower_momentum
from ..store import default_folder
from ..store.protocol import protocol_of
from .plan import check_networks


def of_margin(study: Study, info: DatasetInfo) -> list[str]:
    """A margin of less than one validation image: most often a share was meant."""
    margin, images = study.seeds.margin, num_validation(study.data, info)
    if margin is None or study.measured != "accuracy" or not images or margin >= 100 / images:
        return []
    return [
        f"margin = {margin:g} is less than one of {images:,} validation images is worth ({100 / images:.2g} points). "
        "It is in percentage points: for one point, write 1."
    ]


@dataclass(frozen=True, order=True)
class _Stale:
    """What batch normalization of an arm keeps of its start values."""

    share: float
    arm: str
    steps: int
    momentum: float
    is_of_base: bool


def of_norms(study: Study, arms: Sequence[Arm], info: DatasetInfo, store: Path | None) -> list[str]:
    """Batch normalization whose moving statistics are still near their start values when training ends.

    Args:
        study: The study.
        arms: Its arms, or some candidates of its search.
        info: Its data.
        store: The store with the runs that serve as bases.
    """
    bases = [arm for arm in arms if arm.base is not None and arm.base.is_random and not arm.base.is_frozen]
    summaries = check_networks(study, store=store) if bases and study.search is None else {}
    by_arm = {arm.name: [one for one in _norms(study, arm, info, summaries) if one.share > MOST_KEPT] for arm in arms}
    stale = [max(found) for found in by_arm.values() if found]
    if not stale:
        return []
    worst = max(stale, key=lambda one: one.share)
    start = "Batch" if len(stale) == len(by_arm) else f'In arm "{worst.arm}", batch'
    lower = None if worst.is_of_base else lower_momentum(worst.momentum, worst.steps)
    fix = "train longer" if lower is None else f'write "batchnorm momentum={lower:g}", or train longer'
    return [
        f"{start} normalization keeps {kept_text(worst.share)} of its start values after "
        f"{counted(worst.steps, 'step')} with momentum {worst.momentum:g}, so validation scores may be too low: {fix}."
    ]


def _norms(study: Study, arm: Arm, info: DatasetInfo, summaries: Mapping[str, Summary]) -> Iterator[_Stale]:
    """The slowest batch normalization of an arm's own layers, and each of a base that starts from random weights."""
    training = arm.training
    if training.swa is not None:  # statistics are computed anew for the averaged weights
        return
    steps_per_epoch = math.ceil(num_learned(study.data_of(arm), info) / training.batch_size)

    def stale(momentum: float, epochs: int, is_of_base: bool) -> _Stale:
        steps = max(epochs, 0) * steps_per_epoch
        return _Stale(kept_share(momentum, steps), arm.name, steps, momentum, is_of_base)

    if momentum := protocol_of(arm).norm_momentum:
        yield stale(momentum, training.planned_epochs, is_of_base=False)
    summary = summaries.get(arm.name)
    if (
        summary is None
        or summary.base is None
        or summary.base.keeps_statistics
        or not (arm.base and arm.base.is_random)
    ):
        return
    first_epochs = {
        name: first for (name, _), first in zip(summary.base.blocks, summary.base.first_epochs, strict=True)
    }
    for row in summary.layers:
        if isinstance(row.layer, BatchNorm) and (first := first_epochs.get(row.block, 0)):
            yield stale(row.layer.momentum, training.planned_epochs - first + 1, is_of_base=True)


def of_bases(study: Study, store: Path | None) -> list[str]:
    """What frozen bases cost: disk where they are cached, time where they cannot be."""
    if not any(owner is not None and owner.base is not None for owner in (study.network, *study.arms)):
        return []
    from ..nets.build import learned

    summaries = check_networks(study, store=store if store is not None else default_folder())
    images = info_of(study.data).num_training
    notes: list[str] = []
    sizes = {
        4 * math.prod(learned(summary).input_shape) * images * (1 + summary.base.copies)
        for summary in summaries.values()
        if summary.base is not None and summary.base.is_cached
    }
    if sizes:
        notes.append(f"The outputs of frozen bases are cached on disk: about {sum(sizes) / 1e9:.2g} GB.")
    live = [name for name, s in summaries.items() if s.base and not s.base.is_cached and not any(s.base.first_epochs)]
    if live:
        notes.append(
            f'The frozen base of arm "{live[0]}" runs in every step, since its images are augmented anew; '
            "copies = N in its base would compute N augmented copies of each image once, for all seeds."
        )
    return notes
