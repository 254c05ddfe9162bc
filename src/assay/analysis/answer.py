"""The answer to a study's question, as far as its runs allow one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..measures import ACCURACY
from ..numerals import counted, percent
from ..stats import MIN_PAIRS, pairs_needed, refusal
from ..store.records import StudyRecord
from .contrasts import Contrast, contrasts, has_interactions, planned_contrasts
from .fallen import fallen_sentences
from .general import General, few_sets, general_verdicts
from .general_looks import has_general
from .grid import Split, grid_of
from .measured import measure_of
from .race import Race
from .scores import (
    LEAKY,
    accuracy_interval,
    arm_scores,
    failure_sentence,
    is_epoch_chosen_by_score,
    rule_of,
    score_of,
    validates_on_same_images,
)
from .standings import study_standing

Tone = Literal["decided", "partly", "undecided", "refused", "estimate", "none"]

_LABELS: dict[Tone, str] = {
    "decided": "Decided",
    "partly": "Decided in part",
    "undecided": "Undecided",
    "refused": "Not enough seeds",
    "estimate": "One arm, no comparison",
    "none": "No answer yet",
}


@dataclass(frozen=True)
class Answer:
    """The answer to a study's question, with everything that must be read with it.

    Args:
        tone: ``"decided"``, ``"partly"``, ``"undecided"``, ``"refused"`` (too few seeds), ``"estimate"`` (one arm) or
            ``"none"``.
        headline: The answer as one sentence, without its full stop.
        contrasts: Every contrast with its own verdict.
        notes: Sentences to read with it: missing runs, limits, next steps.
        effects: Effects and interactions of several crossed factors. If there are any, the headline is about them.
        general: The verdicts over all data sets, for a study on several.
        race: The state of the race, for a study that stops when the best arm is known.
    """

    tone: Tone
    headline: str
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...]
    effects: tuple[Contrast, ...] = ()
    general: tuple[General, ...] = ()
    race: Race | None = None

    @property
    def label(self) -> str:
        """The tone in words, such as ``Decided``."""
        return _LABELS[self.tone]

    @property
    def verdicts(self) -> tuple[Contrast, ...]:
        """The verdicts that answer the question: factors if they are crossed, else arms; none in a race."""
        if self.race is not None:
            return ()
        return self.effects or self.contrasts


def answer(study: StudyRecord, *, split: Split = "validation") -> Answer:
    """The answer that the finished runs give on one split."""
    scores = arm_scores(study, split=split)
    if not any(arm.n for arm in scores):
        return Answer("none", progress_sentence(study), (), _notes(study, (), "none", split))
    judged = contrasts(study, split=split)
    if not judged:
        only = scores[0]
        measure = measure_of(study)
        of = "" if measure == ACCURACY else f" a {measure.label} of"
        ends = only.interval
        unit = measure.unit.within(ends.low, ends.high) if ends else measure.unit
        headline = f"{only.arm} scores{of} {unit.value(only.mean)}"
        if ends:
            headline += f" {unit.interval(ends.low, ends.high)}"
        return Answer("estimate", f"{headline}, n = {only.n}", (), _notes(study, (), "estimate", split))
    if (now := study_standing(study).race if rule_of(study).stop else None) is not None:
        return _of_race(study, now, judged, split)
    crossed = planned_contrasts(study, split=split) if has_interactions(study) else ()
    family = crossed or judged
    if study.sets:
        return _on_several(study, family, judged, crossed, split)
    tone = _tone(family)
    if tone == "refused":
        headline = _refusal(family)
    elif crossed:
        headline = _factors(crossed)
    else:
        headline = judged[0].sentence if len(judged) == 1 else _tally(judged)
    return Answer(tone, headline, judged, _notes(study, family, tone, split), crossed)


def _of_race(study: StudyRecord, now: Race, judged: tuple[Contrast, ...], split: Split) -> Answer:
    """The answer of a study that stops when the best arm is known; test images do not choose anew."""
    measure = measure_of(study)
    tone: Tone = "decided" if now.outcome != "open" else "partly" if now.drops else "undecided"
    notes = list(_notes(study, (), tone, split))
    if split == "test":
        chosen = next((arm for arm in arm_scores(study, split="test") if arm.arm == now.leader), None)
        headline = f"{now.leader} leads on validation images"
        if chosen is not None and chosen.mean is not None:
            headline += f"; on the test images its {measure.label} is {measure.unit.value(chosen.mean)}"
        return Answer("estimate", headline, judged, tuple(notes), race=now)
    if now.saved_sentence:
        notes.append(f"{now.saved_sentence}.")
    if now.is_over and now.outcome == "open" and now.margin is None:
        notes.append("A margin under [seeds] lets such a study end where arms are not told apart within it.")
    return Answer(tone, now.headline(measure), judged, tuple(notes), race=now)


def _on_several(
    study: StudyRecord,
    family: tuple[Contrast, ...],
    judged: tuple[Contrast, ...],
    crossed: tuple[Contrast, ...],
    split: Split,
) -> Answer:
    """The answer of a study on several data sets: what holds in general, and on how many of them by themselves."""
    general = general_verdicts(study, split)
    tone = _tone(family)
    tally = f"by themselves, {_by_data(family)}"
    if not has_general(study):
        headline = f"Of {counted(len(study.sets), 'data set')} {tally}"
    else:
        decided = [one.finding.is_decided for one in general]
        if any(decided):
            tone = "decided" if all(decided) else "partly"
        elif any(one.outcome == "undecided" for one in general):
            tone = "partly" if tone in ("decided", "partly") else "undecided"
        if len(general) == 1:
            first = general[0].sentence
        else:
            counts = Counter(one.outcome for one in general)
            outcomes = [f"{count} {_is(count)} {outcome}" for outcome, count in counts.items()]
            few = [outcome for outcome in counts if outcome.startswith("too few")]
            of = general[0].baseline if len({one.baseline for one in general}) == 1 else "their first level"
            first = f"In general, of {len(general)} against {of}, {_listed(outcomes)}"
            if few and len(counts) == 1:
                first = general[0].sentence
        headline = f"{first}; of {counted(len(study.sets), 'data set')} {tally}"
    notes = list(_notes(study, family, tone, split))
    if not has_general(study):
        notes.append(f"{few_sets(len(study.sets))}.")
    return Answer(tone, headline, judged, tuple(notes), crossed, general)


def _by_data(family: tuple[Contrast, ...]) -> str:
    """How often each outcome is given on single data sets."""
    main = [contrast for contrast in family if not (contrast.effect and contrast.effect.is_interaction)]
    counts = Counter(contrast.outcome for contrast in main)
    outcomes = _listed([f"{outcome} on {count}" for outcome, count in counts.most_common()])
    is_one = len(main) == len({contrast.data for contrast in main})
    return outcomes if is_one else f"{outcomes}, over {len(main)} comparisons"


def progress_sentence(study: StudyRecord) -> str:
    """How many runs have finished, and what the others do."""
    states, total = study.columns.states, len(study.runs)
    if not total:
        return "No run has been planned yet"
    others = [f"{n} {state}" for state, n in states.items() if state != "finished"]
    rest = f" ({', '.join(others)})" if others else ""
    done = states["finished"]
    return f"{done} of {counted(total, 'run')} {'has' if done == 1 else 'have'} finished{rest}"


def retrained_sentences(study: StudyRecord) -> tuple[str, ...]:
    """What each arm scores on the test split that was trained anew on training and validation images."""
    sentences = []
    for arm in dict.fromkeys(run.arm for run in study.retrained):
        runs = [run for run in study.retrained if run.arm == arm]
        scores = [score for run in runs if (score := score_of(run, "test")) is not None]
        if not scores:
            continue
        interval = ""
        if len(scores) > 1:
            ends = accuracy_interval(scores)
            interval = f" [{100 * ends.low:.2f}, {100 * ends.high:.2f}]"
        of = f" of {len(runs)}" if len(runs) > len(scores) else ""
        mean = percent(sum(scores) / len(scores))
        scored = "scores" if measure_of(study) == ACCURACY else "has an accuracy of"
        sentences.append(
            f"{arm}, trained on {study.retrained_on(arm)}, {scored} {mean}{interval}, n = {len(scores)}{of}"
        )
    return tuple(sentences)


def is_unfinished(study: StudyRecord) -> bool:
    """Whether runs are still to come."""
    return not study.columns.has_ended.all() or not len(study.runs)


def _tone(family: tuple[Contrast, ...]) -> Tone:
    """How far a family answers: an interaction that is open leaves what factors do on average decided."""
    asked = [contrast for contrast in family if not (contrast.effect and contrast.effect.is_interaction)]
    decided = [contrast.finding.is_decided for contrast in asked]
    if any(decided):
        return "decided" if all(decided) else "partly"
    return "undecided" if any(contrast.outcome == "undecided" for contrast in asked) else "refused"


def _refusal(family: tuple[Contrast, ...]) -> str:
    """One refusal for all contrasts, whose numbers of pairs may differ."""
    fewest, most = (pick(contrast.finding.n for contrast in family) for pick in (min, max))
    is_folds = any(contrast.finding.is_corrected for contrast in family)
    sentence = refusal(most, num_contrasts=len(family), is_folds=is_folds)
    return sentence if fewest == most else sentence.replace(f": {most} ", f": {fewest} to {most} ")


def _factors(crossed: tuple[Contrast, ...]) -> str:
    """What each factor does on average, and whether that depends on another one."""
    sentences = []
    main = [contrast for contrast in crossed if contrast.effect and not contrast.effect.is_interaction]
    for factor in dict.fromkeys(contrast.effect.factor for contrast in main if contrast.effect):
        levels = [contrast for contrast in main if contrast.effect and contrast.effect.factor == factor]
        sentences.append(_against(levels[0]) if len(levels) == 1 else _levels(factor, levels))
    depends = [c for c in crossed if c.effect and c.effect.is_interaction and c.outcome in ("better", "worse")]
    pairs = dict.fromkeys((c.effect.factor, c.effect.by) for c in depends if c.effect)
    sentences += [f"what {factor} does depends on {by}" for factor, by in pairs]
    text = "; ".join(sentences)
    return f"{text[:1].upper()}{text[1:]}" if text.startswith(("of ", "between ")) else text


def _against(contrast: Contrast) -> str:
    pattern = {
        "better": "{b} is better than {a}",
        "worse": "{b} is worse than {a}",
        "equivalent": "between {a} and {b} there is no difference that matters",
    }.get(contrast.outcome, "between {a} and {b} it is undecided")
    return pattern.format(a=contrast.baseline, b=contrast.arm)


def _levels(factor: str, levels: list[Contrast]) -> str:
    baseline = levels[0].effect.low if levels[0].effect else levels[0].baseline
    return f"of {len(levels)} levels of {factor} against {baseline}, {_counted_outcomes(levels)}"


def _tally(family: tuple[Contrast, ...]) -> str:
    return f"Of {counted(len(family), 'arm')} against {family[0].baseline}, {_counted_outcomes(family)}"


def _counted_outcomes(family: Sequence[Contrast]) -> str:
    counts = Counter(contrast.outcome for contrast in family)
    parts = {
        key: f"{counts[key]} {_is(counts[key])} {key}"
        for key in ("better", "worse", "mixed", "equivalent", "undecided")
        if counts[key]
    }
    if few := counts["too few seeds"]:
        parts["too few seeds"] = f"{few} {'has' if few == 1 else 'have'} too few seeds"
    return _listed(list(parts.values()))


def _notes(study: StudyRecord, family: tuple[Contrast, ...], tone: Tone, split: Split) -> tuple[str, ...]:
    notes = [LEAKY] if study.is_leaky else []
    if split == "validation" and tone != "none" and is_epoch_chosen_by_score(study):
        notes.append(
            "Each run's epoch was chosen on the validation images that score it, which makes these scores a little "
            "too good."
        )
    if study.source and tone != "none" and study.design.claimed == "these images":
        notes.append(
            "There are no per-image results, so the intervals speak of what a seed changes alone, on the images that "
            "these scores are of."
        )
    if is_unfinished(study) and tone != "none" and not rule_of(study).stop:
        notes.append("The study is unfinished, so the answer may change; looking at it meanwhile is paid for.")
    if split == "validation" and study.search is not None and tone != "none" and validates_on_same_images(study):
        notes.append(
            "The finalists are scored on the validation images that they were chosen by, so that their scores are "
            "still too good, by as much as each was lucky there."
        )
    if split == "validation":
        notes += [f"{sentence}." for sentence in fallen_sentences(study)]
    if failed := failure_sentence(study):
        notes.append(f"{failed}.")
    if split == "validation":
        notes += _advice(study, family, tone)
    return tuple(notes)


def _advice(study: StudyRecord, family: tuple[Contrast, ...], tone: Tone) -> list[str]:
    num_folds = max(int(study.columns.fold.max(initial=1)), 1)
    needed = 0
    if family:  # a verdict on folds needs so many of them, over all seeds
        needed = pairs_needed(len(family)) if num_folds == 1 else -(-MIN_PAIRS // num_folds)
    planned = int(grid_of(study).is_planned.any(2).sum(1).max(initial=0))
    notes = []
    lost = 0 if is_unfinished(study) else planned - min((len(contrast.seeds) for contrast in family), default=planned)
    if rule_of(study).stop:
        return []
    if tone == "refused" and planned < needed + lost and study.source:
        notes.append(f"To get a verdict, give each arm {needed + lost} seeds or more.")
    elif tone == "refused" and planned < needed + lost:
        notes.append(
            f"To get a verdict, raise count under [seeds] from {planned} to {needed + lost} or more and run it again: "
            "finished runs are kept, only new seeds are trained."
        )
    if tone in ("undecided", "partly"):
        notes.append("Undecided is not equal: every difference inside the interval remains possible.")
    if tone == "estimate":
        notes.append("The interval covers seed-to-seed variation. Add a second arm to ask which is better.")
    if len(family) > 1 and tone != "refused" and family[0].effect is None and not study.sets:
        notes.append(
            f"Each arm is compared with {family[0].baseline}. Which of all arms is best is another question: "
            f"the highest of {len(family) + 1} means owes part of its height to luck."
        )
    return notes


def _is(n: int) -> str:
    return "is" if n == 1 else "are"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
