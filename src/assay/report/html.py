"""A study's record as one HTML file that reads without a network, and as a small table for notebooks."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..analysis.answer import answer, is_unfinished, progress_sentence, retrained_sentences
from ..analysis.classes import class_sentences
from ..analysis.contrasts import Contrast, ranking_of
from ..analysis.diagnoses import diagnose_study
from ..analysis.image_spread import claim_of
from ..analysis.images import duel
from ..analysis.learning import LearningCurves
from ..analysis.measured import measure_of
from ..analysis.opened import looks_at_test
from ..analysis.robustness import Robustness
from ..analysis.scores import LEAKY, arm_scores, best_arm, best_by, counted_epoch, failures, varied
from ..analysis.standings import sequential_sentence, stop_sentences
from ..extras import has, remedy
from ..numerals import counted, moment
from ..store.records import StudyRecord
from .blocks import (
    cost_figures,
    curve_figures,
    explanation_blocks,
    gallery_figures,
    interaction_figures,
    lead_figure,
    ranking_figure,
    score_figures,
    search_section,
)
from .inputs import Gallery, Illustration, NetworkTable
from .learning import learning_section
from .palette import arm_styles
from .phrases import parted, unbroken
from .references import bibtex, references
from .robustness import robustness_section
from .strip import score_svg
from .tables import (
    arms_table,
    classes_table,
    contrasts_table,
    costs_table,
    diagnoses_table,
    effects_table,
    failures_table,
    general_table,
    images_table,
    looks_table,
    network_tables,
    provenance_table,
    ranking_table,
    retrained_table,
    runs_table,
)

if TYPE_CHECKING:
    import jinja2

_NO_PICTURES = (
    "Pictures of what the best arm has learned and where it fails need matplotlib, which is not installed: "
    f"{remedy('matplotlib')}, and write the report again."
)


def render(
    study: StudyRecord,
    *,
    summaries: Mapping[str, NetworkTable],
    gallery: Gallery | None,
    version: str,
    toml: str = "",
    shared: Mapping[str, int] | None = None,
    explanations: Sequence[Illustration] = (),
    learning: LearningCurves | None = None,
    robustness: Robustness | None = None,
    corruptions: Illustration | None = None,
) -> str:
    """One self-contained HTML file with the answer, its evidence and its provenance; it loads nothing.

    The same record gives the same bytes.

    Args:
        study: The study's record; the study may be unfinished.
        summaries: Each arm's network by the arm's name; arms without one are left out of the network section.
        gallery: Example images of the data; ``None`` leaves the section out.
        version: Assay's version.
        toml: The study as a TOML text.
        shared: By run id, how many of its validation images are among its training images, where it was counted.
        explanations: Pictures of what the best arm has learned and where it fails; none leaves the section out.
        learning: What more training images would bring; ``None`` leaves the section out.
        robustness: How the arms fare on corrupted images; ``None`` leaves the section out.
        corruptions: A picture of the corruptions.
    """
    from plotly.offline import get_plotlyjs

    result, lead, diagnoses = answer(study), lead_figure(study), diagnose_study(study, shared=shared)
    is_scored = any(arm.n for arm in arm_scores(study))
    is_revealed = any(arm.n for arm in arm_scores(study, split="test"))
    return (
        environment()
        .get_template("report.html")
        .render(
            study=study,
            version=version,
            toml=toml,
            plotly_js=get_plotlyjs(),
            facts=_facts(study),
            answer=result,
            lead=lead,
            verdicts_=ranked(result.verdicts) if len(result.verdicts) > 1 and result.tone != "refused" else (),
            ranked=ranked,
            progress=progress_sentence(study) if is_unfinished(study) else "",
            figures=[block for block in score_figures(study, "validation") if block != lead] if is_scored else [],
            arms_table=arms_table(study, summaries),
            contrasts_table=contrasts_table(study) if is_scored and len(study.arms) > 1 else None,
            classes_table=classes_table(study) if is_scored and len(study.arms) > 1 else None,
            classes=class_sentences(study) if is_scored and len(study.arms) > 1 else (),
            stops=stop_sentences(study),
            varied=varied(study),
            claimed=claim_of(study),
            sequential=sequential_sentence(study),
            interactions=[block for block in interaction_figures(study) if block != lead],
            general_table=general_table(study) if is_scored else None,
            effects_table=effects_table(study) if result.effects else None,
            ranking=ranking_figure(study),
            ranking_table=ranking_table(study, ranking) if (ranking := ranking_of(study)) else None,
            ranking_refusal=ranking.refusal if ranking else "",
            diagnoses_table=diagnoses_table(study, diagnoses),
            too_short=diagnoses.short_sentence,
            looked_at=counted(n, "run") if (n := sum(diagnoses.looked_at.values())) else "",
            others=n - sum(diagnoses.too_short.values()),
            failures_table=failures_table(study) if failures(study) else None,
            runs_table=runs_table(study),
            test=_test(study, summaries) if is_revealed else None,
            looks_table=looks_table(study) if study.looks else None,
            retrained_table=retrained_table(study) if study.retrained else None,
            retrained=retrained_sentences(study),
            counted_epoch=counted_epoch(study),
            measured=measure_of(study).label,
            leaky=LEAKY if study.is_leaky else "",
            curves=curve_figures(study),
            search=search_section(study) if study.search else None,
            switches=[{"name": arm, "style": style} for arm, style in arm_styles(study).items()],
            costs=cost_figures(study, summaries),
            costs_table=costs_table(study, summaries),
            networks=network_tables(study, summaries),
            gallery=gallery,
            gallery_image=base64.b64encode(gallery.png).decode() if gallery else "",
            gallery_figures=gallery_figures(gallery) if gallery else (),
            explanations=explanation_blocks(explanations),
            no_pictures=_NO_PICTURES if is_scored and not has("matplotlib") else "",
            learning=learning_section(learning) if learning is not None else None,
            robustness=robustness_section(study, robustness) if robustness is not None else None,
            corruptions=explanation_blocks([corruptions])[0] if corruptions is not None else None,
            best=best_arm(study),
            best_by=best_by(study),
            references=(cited := references(study, has_robustness=robustness is not None)),
            bibtex=bibtex(cited),
            provenance=provenance_table(study, version=version),
            updated=moment(study.last_event),
        )
    )


def summary_html(study: StudyRecord, report: Path | None = None) -> str:
    """A study's answer, scores and arms as a small HTML fragment for a notebook's cell: no script.

    Args:
        study: Its record.
        report: Its report, to link to.
    """
    from markupsafe import Markup

    return (
        environment()
        .get_template("summary.html")
        .render(
            study=study,
            answer=answer(study),
            table=arms_table(study, {}),
            progress=progress_sentence(study),
            picture=Markup(score_svg(study)),
            report=_link(report) if report is not None else None,
        )
    )


def _link(path: Path) -> dict[str, str]:
    """A link to a file: relative where it lies below the current folder, which is a notebook's own."""
    try:
        text = path.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return {"href": path.absolute().as_uri(), "text": str(path)}
    return {"href": quote(text), "text": text}


def ranked(verdicts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """Verdicts, what is decided first; within an outcome as the study has them."""
    order = ("better", "worse", "mixed", "equivalent", "undecided", "too few seeds")
    return tuple(sorted(verdicts, key=lambda contrast: order.index(contrast.outcome)))


def environment(*packages: str) -> jinja2.Environment:
    """The templates of the report, and before them those of other packages."""
    import jinja2

    loaded = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in (*packages, "assay.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    loaded.filters.update(unbroken=unbroken, parted=parted, base64=lambda content: base64.b64encode(content).decode())
    return loaded


def _facts(study: StudyRecord) -> tuple[str, ...]:
    seeds = len({run.seed for run in study.runs})
    data = str(study.data.get("title") or study.source or study.data.get("name") or "")
    if study.sets:
        data = counted(len(study.sets), "data set")
    facts = (study.name, data, counted(len(study.arms), "arm"), counted(seeds, "seed"), moment(study.last_event))
    return tuple(fact for fact in facts if fact)


def _test(study: StudyRecord, summaries: Mapping[str, NetworkTable]) -> dict[str, Any]:
    result = answer(study, split="test")
    num_finished = sum(run.state == "finished" for run in study.runs)
    num_scored = sum(arm.n for arm in arm_scores(study, split="test"))
    return {
        "answer": result,
        "figures": score_figures(study, "test"),
        "arms_table": arms_table(study, summaries, split="test"),
        "general_table": general_table(study, split="test"),
        "effects_table": effects_table(study, split="test") if result.effects else None,
        "contrasts_table": contrasts_table(study, split="test") if len(study.arms) > 1 else None,
        "looks": looks_at_test(study),
        "num_looks": len(study.looks) + study.looks_elsewhere,
        "missing": num_finished - num_scored,
        "images_table": images_table(study) if study.test_hits else None,
        "duel": finalists.sentences if (finalists := duel(study)) else (),
    }
