"""Trains and scores the documents' systems, and compares them with the published figures."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..analysis.images import test_hits, validation_hits
from ..analysis.scores import kept_value, score_of
from ..api import Result, describe, load, result, run, shipped
from ..api import studies as in_store
from ..nets import summary_of
from ..report import write_report
from ..runner import Progress
from ..search import result_of_search
from ..spec import Study
from ..store import StudyRecord, default_folder, open_writer
from ..store.files import DATABASE
from .claims import CLAIMS, ClaimVerdict, Evidence, judge_claims
from .cost import Cost, epochs_left, estimate, search_cost
from .page import Row, SideBySide, fragment, html, markdown
from .published import System, chosen
from .submission import submit

TABLES_FOLDER = Path("document-d")  # document D's tables, where the command is given
SUFFIX = "-as-published"
UNLABELLED, SUBMISSION = "unlabelled_data.csv", "submission.csv"
# Whose protocol leaks or feeds raw bytes; documents D and E chose on validation images and scaled.
AS_PUBLISHED: dict[str, dict[str, Any]] = {
    "A": {"validation": "test", "as_published": True},
    "B": {"validation": "test", "as_published": True},
    "C": {"scaling": "none", "as_published": True},
}


@dataclass(frozen=True)
class Reproduction(SideBySide):
    """The published systems of documents A to E beside your runs of them, with a verdict on each claim.

    :func:`reproduce` returns it. In a notebook it shows its tables.

    Args:
        rows: One for each published system, with its runs.
        verdicts: One for each claim of the documents.
        is_as_published: Whether the published protocol was repeated, with its leaks.
        store: The store's folder.

    Example:
        >>> page = assay.reproduce("A", trains=False)
        >>> page.rows[0].system.key, page.rows[0].system.accuracy
        ('A-grid-3x3-32', 0.992)
        >>> page.verdicts[0].claim.text
        '5x5 kernels with 64 filters are the best of the grid (99.22 %)'
    """

    store: Path

    def write(self, path: str | Path | None = None) -> Path:
        """Write the page as one file.

        Args:
            path: The file. A path that ends in ``.md`` is written as Markdown, any other as HTML. If ``None``:
                ``reports/reproduction.html`` in the store's folder.

        Returns:
            The file's path.

        Raises:
            DiskFull: There is no space left.
        """
        name = "reproduction-as-published.html" if self.is_as_published else "reproduction.html"
        target = Path(path) if path is not None else self.store / "reports" / name
        return write_report(target, markdown(self) if target.suffix == ".md" else html(self))

    def _repr_html_(self) -> str:
        return fragment(self)


def reproduce(
    *keys: str,
    as_published: bool = False,
    seeds: int | None = None,
    store: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    confirm: Callable[[Sequence[Cost]], bool] = lambda costs: True,
    trains: bool = True,
) -> Reproduction:
    """Train the networks of documents A to E, score them, and compare them with the published figures.

    Documents A to E are five published notebooks (docs/evidence/reproduction.md). Finished runs are not repeated. Test
    splits are scored after everything has run, and each look is recorded.

    Args:
        keys: Letters of documents (``"A"`` to ``"E"``) and keys of systems (``"A-no-dropout"``). All if there are none.
        as_published: Repeat the published protocol instead, with its leaks and unscaled inputs. Such runs are marked.
        seeds: Seeds for each arm. Each study's own count if ``None``.
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.
        workers: Cores to use; all if ``None``.
        progress: Follows each study, as for :func:`run`.
        confirm: Called with the estimated :class:`~assay.documents.cost.Cost` of what is missing before anything
            trains. If it returns ``False``, nothing is trained.
        trains: ``False`` trains nothing and shows what the store holds.

    Returns:
        The :class:`Reproduction`.

    Raises:
        SpecError: A key is not known.
        InputError: The data or the store cannot be used.

    Example:
        >>> page = assay.reproduce("A-no-dropout", trains=False)  # what the store holds
        >>> len(page.rows), page.rows[0].runs
        (1, ())
    """
    systems = chosen(keys)
    folder = Path(store) if store is not None else default_folder()
    if trains:
        _train(systems, folder, as_published, seeds, workers, progress, confirm)
    rows = tuple(_row(system, folder, as_published) for system in systems)
    return Reproduction(rows, _verdicts(rows, as_published), as_published, folder)


def _train(
    systems: Sequence[System], folder: Path, as_published: bool, seeds: int | None, workers: int | None,
    progress: Progress | None, confirm: Callable[[Sequence[Cost]], bool],
) -> None:  # fmt: skip
    with open_writer(folder):
        pass  # makes the store, or brings an older one up to date
    studies = [_study(name, systems, as_published, seeds) for name in _names(systems, as_published)]
    if not confirm(_costs(studies, folder, workers)):
        return
    for study in studies:
        run(study, store=folder, workers=workers, progress=progress)
        _reveal(study, systems, folder, workers, progress)
        if study.name == "document-d":
            submit(
                study, Result(folder, study.name).record, folder, TABLES_FOLDER / UNLABELLED, TABLES_FOLDER / SUBMISSION
            )


def _names(systems: Sequence[System], as_published: bool) -> list[str]:
    runnable = [system for system in systems if not system.waits]
    return list(
        dict.fromkeys(s.study for s in runnable if not as_published or s.document in AS_PUBLISHED)
    )  # fmt: skip


def _study(name: str, systems: Sequence[System], as_published: bool, seeds: int | None) -> Study:
    """A shipped study with the systems' arms alone; under another name where these are not all of its arms."""
    if name.startswith("document-d"):
        _make_tables()
    study = load(name)
    names = {system.arm for system in systems if system.study == name}
    arms = tuple(arm for arm in study.arms if arm.name in names)
    if len(arms) < len(study.arms):
        which = hashlib.sha256(" ".join(arm.name for arm in arms).encode()).hexdigest()[:8]
        study = study.model_copy(update={"arms": arms, "name": f"{name}.{which}"})
    document = next(system.document for system in systems if system.study == name)
    if as_published:
        data = study.data.model_copy(update=AS_PUBLISHED[document])
        name = f"{study.name}{SUFFIX}"
        study = study.model_copy(update={"data": type(data).of(data.model_dump(exclude_none=True)), "name": name})
    return study if seeds is None else study.with_seeds(min(seeds, study.seeds.planned) if _is_dear(name) else seeds)


def _is_dear(name: str) -> bool:
    """Whether one seed is all that a study is worth: document B's largest network."""
    return name == "document-b-wide"


def _make_tables() -> None:
    """Document D's data, "a more complicated MNIST", in the form that it has them."""
    from ..data.make import make

    if all((TABLES_FOLDER / name).exists() for name in ("train_data.csv", "test_data.csv", UNLABELLED)):
        return
    how: dict[str, Any] = {"variation": "random-background", "num_training": 12_000, "num_test": 10_000}
    make("mnist", TABLES_FOLDER, test_labels=False, **how)
    (TABLES_FOLDER / "test_data.csv").rename(TABLES_FOLDER / UNLABELLED)
    make("mnist", TABLES_FOLDER, **how)


def _costs(studies: Sequence[Study], folder: Path, workers: int | None) -> list[Cost]:
    from ..data import prepare
    from ..runner import make_plan
    from ..system import num_cores

    costs = []
    for study in studies:
        if study.search is not None:
            stored = _stored_result(study.name, folder)
            left = epochs_left(study, stored.record if stored else None)
            if left:
                costs.append(search_cost(study, prepare(study.data), folder, left, workers or num_cores()))
            continue
        plan = make_plan(study, prepare(study.data), folder)
        stored = _stored_result(study.name, folder)
        finished = {run.id for run in stored.runs if run.state in ("finished", "diverged")} if stored else set()
        missing = [task for task in plan.tasks if task.id not in finished]
        cost = estimate(plan, missing, describe(study, store=folder), workers or num_cores())
        if cost is not None:
            costs.append(cost)
    return costs


def _reveal(
    study: Study, systems: Sequence[System], folder: Path, workers: int | None, progress: Progress | None
) -> None:  # fmt: skip
    """Scores on the test split the runs that have no test score yet; no run is scored twice."""
    study_result = Result(folder, study.name)
    mine = [system for system in systems if system.study == _whole(study.name)]
    if study.data.is_leaky or not mine:
        return
    finished = [run for run in study_result.runs if run.state == "finished"]
    if any(run.test_accuracy is None for run in finished):
        study_result.reveal()
    for system in mine:
        if system.is_retrained:
            scored = [
                run for run in study_result.record.retrained if run.arm == system.arm and run.test_accuracy is not None
            ]
            if len(scored) < sum(run.arm == system.arm for run in finished):
                study_result.reveal(retrain=system.arm, workers=workers, progress=progress)


def _whole(name: str) -> str:
    """The shipped study that a study, or a part of it, or either as published, is of."""
    return name.removesuffix(SUFFIX).partition(".")[0]


def _stored_result(name: str, folder: Path) -> Result | None:
    """The stored result of a study; ``None`` before it has been run."""
    if not (folder / DATABASE).exists() or name not in in_store(folder):
        return None
    return result(name, store=folder)


def _records(system: System, folder: Path, as_published: bool) -> list[StudyRecord]:
    """The store's studies of a system: the whole one, then parts of it, the latest first."""
    names = in_store(folder) if (folder / DATABASE).exists() else []
    mine = [name for name in names if _whole(name) == system.study and name.endswith(SUFFIX) == as_published]
    return [result(name, store=folder).record for name in sorted(mine, key=lambda name: "." in name)]


def _row(system: System, folder: Path, as_published: bool) -> Row:
    if system.waits or (as_published and system.document not in AS_PUBLISHED):
        return Row(system, _parameters(system)) if system.needs else Row(system)
    best = Row(system, _parameters(system))
    for record in _records(system, folder, as_published):
        arm, parameters = system.arm, best.parameters
        if record.search is not None:
            arm, parameters = _best_of_search(record)
        runs = [r for r in (record.retrained if system.is_retrained else record.runs) if r.arm == arm]
        of_test = system.split == "test" and not record.is_leaky
        scored: dict[int, tuple[float, float]] = {}
        for run_record in runs:
            accuracy = score_of(run_record, "test" if of_test else "validation")
            loss = run_record.test_loss if of_test else kept_value(run_record, "validation_loss")
            if accuracy is not None and loss is not None:
                scored[run_record.seed] = accuracy, loss
        if runs and (len(scored), len(runs)) > (len(best.scores), len(best.runs)):
            accuracies = {seed: accuracy for seed, (accuracy, _) in scored.items()}
            losses = tuple(loss for _, loss in scored.values())
            validated = {} if of_test else validation_hits(record, arm)
            hits = test_hits(record, arm) if of_test else {seed: hits for seed, (_, hits) in validated.items()}
            images = {seed: images for seed, (images, _) in validated.items()}
            best = Row(system, parameters, accuracies, losses, tuple(runs), hits, images)
    return best


def _best_of_search(record: StudyRecord) -> tuple[str, int | None]:
    """The best finalist of a search and its parameters; no name before there is one."""
    findings = result_of_search(record)
    parameters = next((outcome.parameters for outcome in findings.outcomes if outcome.name == findings.best), None)
    return findings.best or "", parameters


@cache
def _parameters(system: System) -> int | None:
    """Of our network, on the images of 28 x 28 and ten classes that all documents have; ``None`` for a search's."""
    values = tomllib.loads(shipped()[system.study].read_text())
    if "search" in values:
        return None
    (arm,) = (arm for arm in Study.of({"name": system.study, **values}).expand() if arm.name == system.arm)
    return summary_of(arm, (28, 28, 1), 10).parameters


def _verdicts(rows: Sequence[Row], as_published: bool) -> tuple[ClaimVerdict, ...]:
    evidence = {
        row.system.arm: Evidence(row.scores, row.runs, row.hits, row.images)
        for row in rows
        if not row.system.is_retrained
    }
    verdicts: list[ClaimVerdict] = []
    for document in dict.fromkeys(row.system.document for row in rows):
        keys = {row.system.arm for row in rows if row.system.document == document}
        claims = [
            claim for claim in CLAIMS
            if claim.document == document and claim.arm in keys and (as_published or not claim.only_as_published)
        ]  # fmt: skip
        verdicts += judge_claims(claims, evidence)
    return tuple(verdicts)
