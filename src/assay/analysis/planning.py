"""Plans a study's seeds and validation images: what a wanted difference needs, from a run or two of each arm."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..errors import Problem, SpecError
from ..numerals import counted, in_points
from ..spec import Study
from ..stats import ALPHA, History, Spending, effects, nominal_levels, pairs_needed
from ..stats.power import MAX_PAIRS
from ..stats.seed_spread import SeedSpread
from ..stats.seeds_to_plan import Claimed, Level, images_for, seeds_for, smallest_seen
from ..stats.sequential import AT_MAXIMUM, AT_PLAN
from ..store.records import StudyRecord
from .family import family
from .grid import grid_of
from .rows import planned_rows
from .seed_spreads import Spreads
from .standings import schedule


@dataclass(frozen=True)
class Option:
    """What a wanted difference needs on a validation set of one size.

    Args:
        images: Validation images of a seed.
        seeds: Seeds of each arm; ``None`` if no reachable number is enough.
        runs: Runs that are still missing.
        seconds: Their duration; ``None`` if no run has been timed.
    """

    images: int
    seeds: int | None
    runs: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class SeedPlan:
    """How many seeds and validation images a difference needs, as :func:`assay.plan` returns it. Print it to read it.

    Args:
        study: The study's name.
        difference: The wanted difference in percentage points; ``None`` if none was named.
        planned: Seeds of each arm that the study plans.
        images: Validation images of a seed.
        arms: For each arm a table: name, runs, predicted and measured standard deviation between seeds (fractions), and
            their basis.
        contrasts: For each planned contrast a table: a, b, the standard deviation of the difference (fractions) as
            predicted, as measured and combined, and the seeds that it needs.
        sees: The smallest difference that the planned seeds detect with power 0.8, as a fraction.
        floor: The smallest difference that any number of seeds detects on these images, as a fraction.
        options: The need for each size of the validation set, the present size first.
        these_images: The seeds that would be enough if the study claimed these images only.
        widest: The contrast that needs the most, as ``"b against a"``.
        notes: Sentences to read with it.
        workers: The cores that durations are for.
        claim: What verdicts generalize to.
    """

    study: str
    difference: float | None
    planned: int
    images: int
    arms: tuple[dict[str, Any], ...]
    contrasts: tuple[dict[str, Any], ...]
    sees: float | None
    floor: float | None
    options: tuple[Option, ...]
    these_images: int | None
    widest: str
    notes: tuple[str, ...] = ()
    workers: int = 1
    claim: str = field(default="new images")

    @property
    def seeds(self) -> int | None:
        """Seeds of each arm for the wanted difference on the present images; ``None`` if no number is enough."""
        return self.options[0].seeds if self.options else None

    @property
    def headline(self) -> str:
        """The answer as one sentence, without its full stop."""
        if self.difference is None:
            return self.planned_sentence
        wanted, now = in_points(f"{self.difference:g}"), self.options[0]
        on = counted(now.images, "validation image")
        if now.seeds is not None:
            if now.runs == 0:
                return f"To see {wanted} in 80 % of studies takes {counted(now.seeds, 'seed')} an arm: they have run"
            return f"To see {wanted} in 80 % of studies takes {counted(now.seeds, 'seed')} an arm on {on}: {cost(now)}"
        better = next((option for option in self.options[1:] if option.seeds is not None), None)
        if better is None:
            return f"No number of seeds and images within reach sees {wanted}: seeds themselves differ by too much"
        return (
            f"With {on} no number of seeds sees {wanted}: {counted(better.images, 'image')} would, with "
            f"{counted(better.seeds or 0, 'seed')} an arm ({cost(better)})"
        )

    @property
    def planned_sentence(self) -> str:
        """What the planned seeds detect, as one sentence without its full stop."""
        seeds = counted(self.planned, "seed")
        if self.sees is None:
            return f"{seeds} {'is' if self.planned == 1 else 'are'} too few for any verdict"
        sees = in_points(f"{100 * self.sees:.2g}")
        text = f"{seeds}, as planned, {'sees' if self.planned == 1 else 'see'} {sees} in 80 % of studies"
        if self.claim == "these images" or self.floor is None:
            return text
        return (
            f"{text}; with {counted(self.images, 'validation image')} more seeds will not help below "
            f"{100 * self.floor:.2g}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            **asdict(self),
            "seeds": self.seeds,
            "headline": self.headline,
            "planned_sentence": self.planned_sentence,
        }

    def __str__(self) -> str:
        lines = [self.headline] if self.difference is None else [self.headline, self.planned_sentence]
        return "\n".join([*(f"{line}." for line in lines), *self.notes])

    def _repr_html_(self) -> str:
        from ..markup import sentences

        lines = [self.headline] if self.difference is None else [self.headline, self.planned_sentence]
        return sentences([f"{line}." for line in lines], list(self.notes))


def cost(option: Option) -> str:
    """Runs and minutes, in words."""
    runs = f"{counted(option.runs or 0, 'more run')}"
    return runs if option.seconds is None else f"{runs}, about {duration(option.seconds)}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours in words, two digits."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    if seconds < 5400:
        return f"{seconds / 60:.2g} minutes" if seconds < 600 else f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.2g} hours"


def plan_seeds(
    study: Study,
    record: StudyRecord | None,
    spreads: Spreads,
    *,
    difference: float | None,
    num_training: int = 0,
    workers: int = 1,
    like: str = "",
) -> SeedPlan:
    """What a wanted difference needs.

    Args:
        study: The design.
        record: What the store knows of it; ``None`` for a study that has not run.
        spreads: How much seeds differ, in this study or in another one.
        difference: The wanted one, in percentage points.
        num_training: Images that validation images are drawn from, with them, where the spreads are another study's.
        workers: Cores.
        like: The other study's name, where the spreads are another one's.

    Raises:
        SpecError: No run tells how much seeds differ, or the difference is none.
    """
    margin = study.seeds.margin
    wanted = margin if difference is None else difference
    if wanted is not None and not (math.isfinite(wanted) and 0 < wanted <= 100):
        raise SpecError(
            Problem(f"got a difference of {wanted:g} points", "give one above 0, such as 0.5", "difference")
        )
    if not spreads.contrasts:
        what = f'no run of "{like or study.name}" says how much seeds differ'
        fix = "run it with [seeds] count = 2 first, or name a study that has run with --like"
        if spreads.arms:
            what = f'"{like or study.name}" has one arm with runs, so nothing is known of differences between arms'
            fix = "run a second arm, or name a study with two arms with --like"
        raise SpecError(Problem(what, fix, "runs"))
    num_contrasts = _num_contrasts(study, record)
    claim = study.claimed
    level = _levels(study, record, num_contrasts)
    fewest = pairs_needed(num_contrasts)
    widest, spread = max(spreads.contrasts.items(), key=lambda one: one[1].joined)
    images, num_training = round(spread.images), spreads.pools.get(widest) or num_training
    ratio = images / max(num_training - images, 1)
    asked = Claimed(claim == "new images", ratio if claim == "new training sets" else 0.0)
    planned = study.seeds.planned
    sees = smallest_seen(spread, level, planned, asked)
    options: list[Option] = []
    these_images = None
    if wanted is not None:
        options = _options(study, record, spreads, spread, wanted / 100, level, fewest, asked, num_training, workers)
        if options[0].seeds is None and claim != "these images":
            these_images = seeds_for(wanted / 100, spread, level, Claimed(new_images=False), fewest=fewest)
    floor = smallest_seen(spread, level, MAX_PAIRS, asked)
    notes = _notes(study, spreads, widest, spread, options, these_images, wanted, num_training, like, asked)
    judged = tuple(
        {
            **_deviations(one),
            "a": a,
            "b": b,
            "joined": math.sqrt(one.joined),
            "seeds": wanted and seeds_for(wanted / 100, one, level, asked, fewest=fewest),
        }
        for (a, b), one in spreads.contrasts.items()
    )
    return SeedPlan(
        study.name, wanted, planned, images, _arms(spreads), judged, sees, floor, tuple(options), these_images,
        f"{widest[1]} against {widest[0]}", tuple(notes), workers, claim,
    )  # fmt: skip


def _options(
    study: Study,
    record: StudyRecord | None,
    spreads: Spreads,
    spread: SeedSpread,
    wanted: float,
    level: Level,
    fewest: int,
    asked: Claimed,
    num_training: int,
    workers: int,
) -> list[Option]:
    now = round(spread.images)
    sizes = [now, *(size for size in (2 * now, 4 * now) if size <= num_training / 2)]
    found = {size: seeds_for(wanted, spread, level, asked, fewest=fewest, images=float(size)) for size in sizes}
    if found[now] is None and asked.new_images:
        few = max(study.seeds.planned, fewest)
        # Where seeds differ by more than images do, more of both are needed.
        alone = seeds_for(wanted, spread, level, fewest=fewest, images=1e9)
        if alone is not None and (enough := images_for(wanted, spread, level, max(few, alone + alone // 4))):
            size = max(_rounded_up(enough), now)
            found[size] = seeds_for(wanted, spread, level, asked, fewest=fewest, images=float(size))
    return [_option(study, record, spreads, size, found[size], workers) for size in sorted(found)]


def _option(
    study: Study, record: StudyRecord | None, spreads: Spreads, images: int, seeds: int | None, workers: int
) -> Option:
    if seeds is None:
        return Option(images, None)
    done = {} if record is None else {arm: _num_done(record, arm) for arm in grid_of(record).arms}
    arms = [arm.name for arm in study.expand()] or list(done)
    left = {arm: max(seeds - done.get(arm, 0), 0) for arm in arms}
    if not spreads.seconds:
        return Option(images, seeds, sum(left.values()))
    usual = statistics.median(spreads.seconds.values())
    seconds = sum(number * spreads.seconds.get(arm, usual) for arm, number in left.items())
    return Option(images, seeds, sum(left.values()), seconds / max(workers, 1))


def _notes(
    study: Study,
    spreads: Spreads,
    widest: tuple[str, str],
    spread: SeedSpread,
    options: list[Option],
    these_images: int | None,
    wanted: float | None,
    num_training: int,
    like: str,
    asked: Claimed,
) -> list[str]:
    notes = []
    if len(spreads.contrasts) > 1:
        notes.append(
            f"These numbers are for the contrast whose seeds differ most, {widest[1]} against {widest[0]}, with all "
            "contrasts sharing the 5 %."
        )
    if like:
        notes.append(f'How much seeds differ is taken from the runs of "{like}".')
    if options and options[-1].images > num_training:
        notes.append(
            f"The data set has {counted(num_training, 'image')} for training and validation: it is too small for that."
        )
    if these_images is not None:
        notes.append(
            f'With claim = "these images", {counted(these_images, "seed")} an arm would do; the verdict then speaks of '
            "the validation images alone."
        )
    if asked.left_out and options and options[0].seeds is None:
        notes.append(
            "A claim on new training sets cannot be made of smaller differences, however many seeds there are: "
            'claim = "new images" leaves that part out.'
        )
    if spread.seeds == 1:
        notes.append("From one run of each arm the spread is predicted, not measured: two runs make it surer.")
    if spread.shift > spread.independent:
        notes.append(
            "Accuracy jumps between the last epochs by more than independent errors explain: more epochs, a falling "
            "learning rate or a moving average (ema_momentum) would make seeds differ less."
        )
    if study.seeds.stop == "best":
        notes.append(
            "The study looks for its best arm, and these are comparisons with its first one: how many seeds the race "
            "takes depends on how far the best arm is ahead of the others."
        )
    elif study.seeds.stop and options and options[0].seeds is not None:
        notes.append(
            "The study stops when decided, so that it may need fewer; set max under [seeds] to the number above."
        )
    return notes


def _arms(spreads: Spreads) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"arm": name, "runs": one.seeds, **_deviations(one), "source": spreads.sources.get(name, "")}
        for name, one in spreads.arms.items()
    )


def _deviations(one: SeedSpread) -> dict[str, Any]:
    """Between seeds, as fractions."""
    measured = None if one.measured is None else math.sqrt(one.measured)
    return {"predicted": math.sqrt(one.predicted), "measured": measured}


def _num_contrasts(study: Study, record: StudyRecord | None) -> int:
    """How many verdicts the study asks for, which share its 5 %."""
    if record is not None and record.arms:
        return max(len(planned_rows(record)), 1)
    crossed = effects([arm.levels for arm in study.expand()])
    is_crossed = not study.seeds.stop and any(effect.is_interaction for effect in crossed)
    return max(len(crossed) if is_crossed else len(study.expand()) - 1, 1)


def _levels(study: Study, record: StudyRecord | None, num_contrasts: int) -> Level:
    """The nominal level of a verdict's look at so many seeds, after the looks that were taken already."""
    alpha = ALPHA / num_contrasts
    if study.seeds.stop:

        def stopping(seeds: int) -> float:
            sizes = tuple(size for size in schedule(study.seeds, max(seeds, study.seeds.first)) if size <= seeds)
            sizes = sizes or (seeds,)
            plan = Spending(max(seeds, study.seeds.first), stops=True, at_plan=AT_MAXIMUM)
            return nominal_levels(sizes, tuple(map(plan.spent, sizes)), alpha)[-1]

        return stopping
    seen = _looked_at(record)

    def level(seeds: int) -> float:
        if seen is not None and seeds > seen.pairs[-1]:
            return seen.level(alpha * seen.share, more=seeds - seen.pairs[-1])
        return AT_PLAN * alpha

    return level


def _looked_at(record: StudyRecord | None) -> History | None:
    """The history of the contrast that was looked at most; ``None`` where a verdict was never shown."""
    if record is None or not record.verdict_looks:
        return None
    histories = [judged.history for judged in family(record) if judged.history.judged]
    return max(histories, key=lambda history: history.pairs[-1], default=None)


def _num_done(study: StudyRecord, arm: str) -> int:
    grid = grid_of(study)
    return int(np.count_nonzero(grid.validation.known[grid.places[arm]])) if arm in grid.places else 0


def _rounded_up(number: int) -> int:
    """To two digits, upwards: no estimate of this kind has more."""
    unit = int(10 ** max(len(str(number)) - 2, 0))
    return -(-number // unit) * unit
