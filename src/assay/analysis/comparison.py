"""What a study's runs say about its arms, for a terminal, a notebook or a script."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import Problem, SpecError, nearest
from ..measures import ACCURACY, Measure
from ..spec import DATA
from ..spec.arms import arm_name
from ..stats import Ranking, factors_of
from ..store.parts import parts_of
from ..store.records import StudyRecord
from .contrasts import (
    Contrast,
    contrast_of,
    contrasts,
    factor_effects,
    has_interactions,
    planned_contrasts,
    ranking_of,
)
from .fallen import fallen_sentences
from .general import General, few_sets, general_verdicts
from .general_looks import has_general
from .image_spread import claim_of
from .images import duel, network_sentence, networks
from .measured import exploratory_sentence, is_exploratory, measure_of
from .opened import looks_at_test
from .race import Race
from .rows import arms_by_data
from .scores import LEAKY, Split, failure_sentence, ordered_arms, rule_of, varied
from .standings import sequential_sentence, study_standing

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """Verdicts on a study's arms or factors, as :meth:`assay.Result.compare` returns them. Print it to read them.

    Args:
        study: The study's name.
        split: The images that arms were compared on: ``"validation"`` or ``"test"``.
        contrasts: Each arm against the first, or two arms that were named.
        effects: Main effects and interactions of crossed factors. If there are any, they are what the study asks, and
            the contrasts of arms are estimates.
        ranking: Arms by mean rank; ``None`` for two arms, and below six seeds that all arms have.
        arms: The arms' names.
        varies: What a seed changes. Intervals cover nothing else.
        notes: What must be read with the verdicts.
        is_leaky: Whether the validation images are the test images.
        measure: The measure of comparison.
        is_exploratory: Whether that is another measure than the study's own.
        general: Verdicts over all data sets, for a study on several.
        race: The state of the race, for a study that stops when the best arm is known.
    """

    study: str
    split: Split
    contrasts: tuple[Contrast, ...]
    effects: tuple[Contrast, ...]
    ranking: Ranking | None
    arms: tuple[str, ...]
    varies: tuple[str, ...]
    notes: tuple[str, ...]
    is_leaky: bool = False
    measure: Measure = ACCURACY
    is_exploratory: bool = False
    general: tuple[General, ...] = ()
    race: Race | None = None

    @property
    def sentences(self) -> tuple[str, ...]:
        """Every verdict as a sentence without its full stop: the best arm and verdicts in general, then factors, then
        arms.
        """
        general = tuple(one.sentence for one in self.general)
        if self.race is not None:
            general = (self.race.headline(self.measure), *general)
        return general + tuple(contrast.sentence for contrast in (*self.effects, *self.contrasts))

    def frame(self) -> pd.DataFrame:
        """Return one row for each verdict: what is compared, n, difference with interval, p values, outcome, sentence.

        Differences of accuracies are fractions; ``attrs["metric"]`` names the measure. On several data sets the column
        ``data`` names the data set. Rows without a name are verdicts in general: their n counts data sets, and their
        difference is the relative change of the error rate.
        """
        import pandas as pd

        rows = [_flat(contrast) for contrast in (*self.effects, *self.contrasts)]
        if self.general:
            named = zip(rows, (*self.effects, *self.contrasts), strict=True)
            rows = [*map(_flat_general, self.general), *({"data": one.data, **row} for row, one in named)]
        frame = pd.DataFrame(rows)
        frame.attrs["leaky"] = self.is_leaky
        frame.attrs["metric"], frame.attrs["exploratory"] = self.measure.name, self.is_exploratory
        return frame

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "study": self.study,
            "split": self.split,
            "metric": self.measure.name,
            "unit": self.measure.unit.name,
            "higher_is_better": self.measure.higher_is_better,
            "exploratory": self.is_exploratory,
            "leaky": self.is_leaky,
            "varies": list(self.varies),
            **({"general": [one.as_dict() for one in self.general]} if self.general else {}),
            **({"best": self.race.as_dict()} if self.race is not None else {}),
            "contrasts": [_plain(contrast) for contrast in self.contrasts],
            "effects": [_plain(contrast) for contrast in self.effects],
            "ranking": None if self.ranking is None else {"arms": list(self.arms), **asdict(self.ranking)},
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join(f"{sentence}." for sentence in (*self.sentences, *self.notes))

    def _repr_html_(self) -> str:
        from ..markup import sentences

        return sentences([f"{verdict}." for verdict in self.sentences], [f"{note}." for note in self.notes])


def compare_study(study: StudyRecord, *names: str, split: Split = "validation") -> Comparison:
    """Verdicts on all arms and factors, on one factor, or on two arms.

    Args:
        study: Its record.
        names: Nothing; a factor; or two arms, the second against the first.
        split: Whose accuracy: ``"validation"``, or ``"test"`` once revealed.

    Raises:
        SpecError: A name is no factor or arm, there is one arm only, a search has no finalists yet, or the test split
            is sealed.
    """
    arms = [arm.name for arm in ordered_arms(study)]
    names = _meant(study, arms, names, split)
    if len(names) == 2:
        judged = (contrast_of(study, names[0], names[1], split=split),)
        note = "Two arms that were picked after seeing their scores look further apart than they are"
        notes = () if judged[0].is_planned else (note,)
        return _comparison(study, split, judged, (), None, notes)
    if names:
        return _comparison(study, split, (), factor_effects(study, split=split, factor=names[0]), None, ())
    crossed = planned_contrasts(study, split=split) if has_interactions(study) else ()
    if study.sets:
        remark = () if has_general(study) else (few_sets(len(study.sets)),)
        whole = _comparison(study, split, contrasts(study, split=split), crossed, None, remark)
        return replace(whole, general=general_verdicts(study, split))
    whole = _comparison(study, split, contrasts(study, split=split), crossed, ranking_of(study, split=split), ())
    if rule_of(study).stop == "best" and split == "validation" and not is_exploratory(study):
        return replace(whole, race=study_standing(study).race)
    return whole


def _comparison(
    study: StudyRecord,
    split: Split,
    judged: tuple[Contrast, ...],
    crossed: tuple[Contrast, ...],
    ranking: Ranking | None,
    notes: tuple[str, ...],
) -> Comparison:
    arms, varies = tuple(arm.name for arm in ordered_arms(study)), varied(study)
    beyond = (
        "those in general of other data sets like these" if study.sets else "they say nothing about another data set"
    )
    remarks = [LEAKY.rstrip(".")] if study.is_leaky else []
    remarks += [
        f"A seed changes {', '.join(varies) or 'nothing'}. Intervals speak of that and of {claim_of(study)}; {beyond}"
    ]
    if any(contrast.finding.is_corrected for contrast in (*judged, *crossed)):
        remarks.append(
            "Folds share training images, so their scores move together: the corrected resampled t test widens the "
            "interval (Nadeau and Bengio 2003)"
        )
    if (sequential := sequential_sentence(study)) and judged:
        remarks.append(sequential)
    if is_exploratory(study):
        remarks.append(exploratory_sentence(study))
    else:
        remarks += fallen_sentences(study)
    if split == "test":
        remarks.append(f"After {looks_at_test(study)} at the test split")
        remarks += [network_sentence(network) for network in networks(study)]
        for name, part in parts_of(study).items():
            if finalists := duel(part):
                remarks += [f"On {name}: {sentence}" if name else sentence for sentence in finalists.sentences]
    if failed := failure_sentence(study):
        remarks.append(failed)
    remarks += notes
    return Comparison(
        study.name, split, judged, crossed, ranking, arms, varies, tuple(remarks), study.is_leaky, measure_of(study),
        is_exploratory(study),
    )  # fmt: skip


def _meant(study: StudyRecord, arms: list[str], names: tuple[str, ...], split: Split) -> tuple[str, ...]:
    """The factor or the two arms that are meant; what cannot be compared is refused."""
    if study.search is not None and not arms:
        what = f'the finalists of search "{study.name}" have not been trained yet'
        raise SpecError(Problem(what, "run it again: it goes on where it stopped, and trains them in the end"))
    if len(arms) < 2:
        raise SpecError(Problem(f'study "{study.name}" has one arm only', "add an arm or a factor to compare it with"))
    if split == "test" and not study.columns.has_test:
        raise SpecError(Problem(f'the test split of "{study.name}" is sealed', "assay reveal scores it, once"))
    if len(names) == 1:
        levels = [arm.levels for arm in next(iter(arms_by_data(study).values()))]
        known = list(factors_of([{factor: one[factor] for factor in one if factor != DATA} for one in levels]))
        known = known if study.sets else list(factors_of(levels))
        if names[0] in known and rule_of(study).stop:
            what = f'the arms of "{study.name}" stop by themselves, so seeds do not cross its factors'
            raise SpecError(Problem(what, "compare arms, or give count instead of stop"))
        if names[0] not in known:
            fix = "name two arms" if names[0] in arms else nearest(names[0], known) if known else "name two arms"
            raise SpecError(Problem(f'"{names[0]}" is no crossed factor of study "{study.name}"', fix))
    if len(names) == 2:
        problems: list[Problem] = []
        meant: list[str] = []
        for name in names:
            try:
                meant.append(arm_name(name, arms, study.name))
            except SpecError as error:
                problems += error.problems
        on = [
            next((name for name, of in arms_by_data(study).items() if arm in [one.name for one in of]), "")
            for arm in meant
        ]
        if len(set(on)) > 1:
            problems.append(Problem(f"{meant[0]} and {meant[1]} are on different data sets", "name two arms on one"))
        if len(meant) == 2 and meant[0] == meant[1]:
            problems.append(Problem(f'"{meant[0]}" is given twice', "name two arms"))
        if problems:
            raise SpecError(problems)
        return tuple(meant)
    if len(names) > 2:
        raise SpecError(Problem(f"got {len(names)} names", "name a factor or two arms"))
    return names


def _plain(contrast: Contrast) -> dict[str, Any]:
    effect = contrast.effect
    return {
        "a": contrast.baseline,
        "b": contrast.arm,
        "effect": None if effect is None else {k: v for k, v in asdict(effect).items() if v and k != "weights"},
        "outcome": contrast.outcome,
        "sentence": contrast.sentence,
        "details": contrast.details,
        "planned": contrast.is_planned,
        **({"data": contrast.data} if contrast.data else {}),
        "varies": list(contrast.varies),
        "left_out": contrast.left_out,
        "seeds": list(contrast.seeds),
        "differences": list(contrast.differences),
        "finding": asdict(contrast.finding),
    }


def _flat_general(one: General) -> dict[str, Any]:
    ratio = one.finding.ratio or (float("nan"),) * 3
    return {
        "data": "",
        "kind": "in general",
        "factor": "",
        "a": one.baseline,
        "b": one.arm,
        "n": one.finding.n,
        "difference": ratio[0] - 1,
        "low": ratio[1] - 1,
        "high": ratio[2] - 1,
        "p_value": float("nan") if one.finding.p_value is None else one.finding.p_value,
        "adjusted_p": float("nan") if one.finding.adjusted_p is None else one.finding.adjusted_p,
        "outcome": one.outcome,
        "sentence": one.sentence,
        "details": one.details,
    }


def _flat(contrast: Contrast) -> dict[str, Any]:
    finding, difference, effect = contrast.finding, contrast.difference, contrast.effect
    kind = "arms" if effect is None else "interaction" if effect.is_interaction else "main effect"
    return {
        "kind": kind,
        "factor": effect.factor if effect else "",
        "a": contrast.baseline,
        "b": contrast.arm,
        "n": finding.n,
        "difference": difference.mean if difference else float("nan"),
        "low": difference.low if difference else float("nan"),
        "high": difference.high if difference else float("nan"),
        "effect_size": float("nan") if finding.effect_size is None else finding.effect_size,
        "p_value": float("nan") if finding.p_value is None else finding.p_value,
        "adjusted_p": float("nan") if finding.adjusted_p is None else finding.adjusted_p,
        "superiority": finding.superiority.mean if finding.superiority else float("nan"),
        "smallest": float("nan") if finding.smallest is None else finding.smallest,
        "outcome": contrast.outcome,
        "sentence": contrast.sentence,
        "details": contrast.details,
    }
