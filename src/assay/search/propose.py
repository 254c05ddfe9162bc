"""Draws candidates until enough of them may be trained; those that may not cost nothing but their count."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..data import DatasetInfo
from ..errors import Problem, SpecError
from ..spec import Study
from ..spec.search import Value
from ..store import CandidateRecord, SearchRecord
from .candidates import UNITS, Weighed, on_its_base, weigh
from .facts import objectives, observed, search_of
from .halving import Design, Step
from .sampler import GENERATIONAL, Drawn, Proposer, draw, generator_of

ASKED, DRAWN = 50, 1000  # draws for one trial: of the sampler, then at random
TRIED = 1000  # random draws before a search is refused because nothing meets its constraints


@dataclass(frozen=True)
class Tried:
    """Random draws from a space: how many, and those that may be trained."""

    num_draws: int
    allowed: tuple[Weighed, ...]


def try_space(
    study: Study, info: DatasetInfo, *, wanted: int = 1, speed: float | None = None, store: Path | None = None
) -> Tried:
    """Draw at random until ``wanted`` candidates may be trained. ``store`` holds the runs that are bases.

    Raises:
        SpecError: None of ``TRIED`` draws may be; it says how close the nearest came. Or the file is at fault.
    """
    study = on_its_base(study, store)
    search = search_of(study)
    allowed: list[Weighed] = []
    refused: list[Weighed] = []
    for number in range(TRIED):
        one = weigh(study, info, draw(search.space, generator_of(search, -1, number)), speed=speed, store=store)
        (refused if one.reason else allowed).append(one)
        if len(allowed) == wanted:
            break
    if not allowed:
        raise SpecError(nothing_fits(study, refused))
    return Tried(len(allowed) + len(refused), tuple(allowed))


def nothing_fits(study: Study, refused: Sequence[Weighed]) -> Problem:
    """Why no candidate may be trained, and how close the nearest came."""
    search = search_of(study)
    built = [one for one in refused if one.arm is not None]
    what = f"of {len(refused):,} random candidates"
    if not built:
        return Problem(f"{what}, none {refused[0].reason.replace('cannot', 'can')}", "mend the layers", "search.space")
    nearest = min(built, key=lambda one: one.excess(search.limits))
    values = ", ".join(f"{name} {value}" for name, value in nearest.chosen.items())
    known = [cost for cost in search.limits if cost in nearest.costs]  # seconds are not known before a measurement
    costs = " and ".join(f"{nearest.costs[cost]:,.0f} {UNITS[cost]}" for cost in known)
    return Problem(
        f"{what}, none meets {' and '.join(search.constraints)}: the nearest has {costs} ({values})",
        "loosen the constraint, or let the space hold smaller networks",
        "search.constraints",
    )


def propose(
    study: Study, info: DatasetInfo, record: SearchRecord, design: Design, step: Step, *, store: Path | None = None
) -> tuple[list[CandidateRecord], bool]:
    """The candidates that a step asks for, rejected ones among them, and whether the space has run out.

    A function of the stored facts: asked again, it proposes the same.
    """
    search = search_of(study)
    speed = record.facts.get("flops_per_second") if "seconds" in search.limits else None
    proposer = _proposer(study, record, design, step)
    known = {_text(one.chosen): trial for trial, one in record.trials.items()}
    number, trial = len(record.candidates), len(record.trials)
    candidates: list[CandidateRecord] = []
    while trial < step.num_trials:
        for attempt in range(ASKED + DRAWN):
            number += 1
            chosen = proposer.ask(number) if attempt < ASKED else draw(search.space, generator_of(search, number))
            weighed = weigh(study, info, chosen, speed=speed, store=store)
            before = known.get(_text(weighed.chosen))
            reason = weighed.reason or ("" if before is None else f"drawn before, as trial {before}")
            if not reason:
                trial += 1
                known[_text(weighed.chosen)] = trial
                candidates.append(CandidateRecord(number, trial, weighed.chosen, weighed.costs))
                break
            candidates.append(CandidateRecord(number, None, weighed.chosen, weighed.costs, reason))
            if attempt < ASKED:
                proposer.reject()
        else:
            return candidates, True
    return candidates, False


def _proposer(study: Study, record: SearchRecord, design: Design, step: Step) -> Proposer:
    search = search_of(study)
    past = _past(record, design, step)
    if search.proposer not in GENERATIONAL:
        return Proposer(search, observed(study, record, step.seen)[1], past)
    values = {
        trial: objectives(study, record, trial, next(iter(scores.values()))) for trial, scores in step.seen.items()
    }
    return Proposer(search, (), past, values)


def _past(record: SearchRecord, design: Design, step: Step) -> list[Drawn]:
    """The candidates so far with the batch that each was drawn for, counted from 1.

    Trials of the batch that is being drawn, if there are any yet, come behind all whose scores may be used for it.
    """
    ends = list(itertools.accumulate(one.sizes[0] for one in design.brackets))
    before = max(step.seen, default=0)
    past, trial, attempt = [], 0, 0
    for drawn in record.candidates:
        batch = next((index for index, end in enumerate(ends, start=1) if trial < end), len(ends))
        past.append(Drawn(drawn.chosen, batch, drawn.trial, attempt >= ASKED, is_under_way=trial >= before))
        attempt = 0 if drawn.trial is not None else attempt + 1
        trial = drawn.trial or trial
    return past


def _text(chosen: dict[str, Value]) -> str:
    return json.dumps(chosen, sort_keys=True)
