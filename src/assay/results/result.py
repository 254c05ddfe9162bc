"""A stored study: its records, verdicts, tables, reports and files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from ..data.grouped import number_groups
from ..errors import AssayError, DataError, Problem, SpecError
from ..runner import Progress, drive_plans, open_site, recorded_plan, retrain_plan
from ..spec import study_toml
from ..spec.metric import WORST_GROUP
from ..store import (
    RunRecord,
    StoreWriter,
    StudyRecord,
    TestScore,
    collection_paused,
    default_folder,
    open_reader,
    open_writer,
    output_folder,
    part_of_run,
    parts_of,
)
from .recorded import dataset_of, gallery_of, network_tables, recorded_networks, shared_images
from .run import Run, export
from .verdict_record import with_look

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from ..analysis import Comparison, Diagnoses, LearningCurves, OperatingPoint, Robustness
    from ..report import Illustration, ReportForm
    from ..search import SearchResult
    from .explanations import Explanation, PictureOptions
    from .exports import Exported


def result(study: str, *, store: str | Path | None = None) -> Result:
    """What a store holds of a study, without running anything.

    Raises:
        NoStore: There is no store.
        NoSuchStudy: It holds no such study.
    """
    stored = Result(Path(store) if store is not None else default_folder(), study)
    with open_reader(stored.store) as reader:
        reader.check(study)
    return stored


def report_html(record: StudyRecord, explanations: Sequence[Illustration] = (), *, store: Path | None = None) -> str:
    """A study's report, one HTML file, as a text.

    Args:
        record: The study.
        explanations: Pictures of the best arm.
        store: The store's folder, for what runs answered about corrupted images, where they were asked.
    """
    from ..report import render
    from .robustness import corruption_picture, kept_robustness

    robustness = kept_robustness(record, store) if store is not None else None

    return render(
        record,
        **_report_parts(record),
        gallery=gallery_of(record),
        toml=study_toml(record.design),
        learning=_learning(record),
        explanations=explanations,
        robustness=robustness,
        corruptions=corruption_picture(record) if robustness is not None else None,
    )


def _learning(record: StudyRecord) -> LearningCurves | None:
    """What more images would bring; ``None`` where no curve can say."""
    from ..analysis import has_sizes, learning_curves

    if not has_sizes(record):
        return None
    with contextlib.suppress(SpecError):  # too few sizes or seeds so far
        return learning_curves(record, parameters=_parameters(record))
    return None


def _report_parts(record: StudyRecord) -> dict[str, Any]:
    """What reports say beyond the record."""
    return {
        "summaries": network_tables(recorded_networks(record), record.design.data.scaling),
        "shared": shared_images(record),
        "version": version("assay"),
    }


def _parameters(record: StudyRecord) -> dict[str, int]:
    """Of each arm's network, where it is known."""
    return {arm: summary.parameters for arm, summary in recorded_networks(record).items()}


@dataclass(frozen=True)
class Result:
    """A study in a store. Each call reads the store anew, also while the study runs."""

    store: Path
    study: str

    @property
    def record(self) -> StudyRecord:
        """Everything that the store knows of the study."""
        with open_reader(self.store) as reader:
            return reader.study(self.study)

    @property
    def brief(self) -> StudyRecord:
        """The same with no more of each run than its state and its scores; large studies are read much faster so."""
        with open_reader(self.store) as reader:
            return reader.study(self.study, is_brief=True)

    @property
    def shown(self) -> StudyRecord:
        """The brief record for whatever shows verdicts: the look at them is written down in the store first."""
        return with_look(self.store, self.brief)

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        return tuple(self.record.runs)

    def search(self) -> SearchResult:
        """The result of a search: its rungs, every trial, how lucky the finalists were.

        Raises:
            SpecError: The study is no search.
        """
        from ..search import result_of_search

        record = self.record
        if record.search is None:
            raise SpecError(Problem(f'study "{self.study}" is no search', "add [search] to its file"))
        return result_of_search(record)

    def trials(self) -> pd.DataFrame:
        """One row for each trial of a search: its parameters' values, costs, epochs (0: all) and score."""
        import pandas as pd

        search = self.search()
        rows = [
            {
                "trial": outcome.trial,
                **outcome.chosen,
                "parameters": outcome.parameters,
                "flops": outcome.flops,
                **dict(outcome.program_costs),
                "epochs": outcome.epochs,
                search.metric: outcome.score,
            }
            for outcome in search.outcomes
        ]
        return pd.DataFrame(rows)

    @property
    def best_file(self) -> Path:
        """Where a search's best arm is written as a study file."""
        return self.store / "studies" / f"{self.study}-best.toml"

    def write_best(self) -> Path | None:
        """Write the finalist with the best mean over fresh seeds as a study file; ``None`` before there is one.

        Raises:
            SpecError: The study is no search.
        """
        from ..disk import write
        from ..search import best_study

        best = best_study(self.search())
        if best is None:
            return None
        write(self.best_file, study_toml(best).encode())
        return self.best_file

    def frame(self) -> pd.DataFrame:
        """One row for each run: arm, levels, seed, state, metrics of the kept epoch, test metrics once revealed."""
        from ..report import runs_frame

        return runs_frame(self.record)

    def scores(self) -> pd.DataFrame:
        """One row for each run: arm, seed, score, and all else that verdicts depend on, as the images it gets right.

        :func:`judge` of this table gives the study's own verdicts, word for word, wherever it is read.
        """
        from ..judging import score_frame

        return score_frame(self.record)

    def epochs(self) -> pd.DataFrame:
        """One row for each epoch of each run."""
        from ..report import epochs_frame

        return epochs_frame(self.record)

    def compare(
        self,
        *names: str,
        split: Literal["validation", "test"] = "validation",
        metric: str | Callable[[NDArray[np.float64], NDArray[np.int64]], float] | None = None,
        groups: ArrayLike | None = None,
    ) -> Comparison:
        """Verdicts on the study's arms and factors, on runs paired by seed.

        Args:
            names: Nothing: every arm against the first, and the effects of crossed factors. A factor: its effects. Two
                arms: the second against the first.
            split: On which images: ``"validation"``, or ``"test"`` once revealed.
            metric: By which measure: the study's own unless given; ``"macro_auc"``, ``"log_loss"``, ``"recall:cat"``,
                ... (docs/explanation/statistics.md), or a function of probabilities [images, classes] and labels
                [images], of which a higher value is better unless its attribute ``higher_is_better`` is false.
                Another than the study's own is exploratory.
            groups: For ``worst_group_accuracy``, to which group each training image belongs [images], instead of the
                data set's own groups.

        Raises:
            SpecError: A name is no factor, arm or measure, there is one arm only, or the test split is sealed.
            DataError: These images cannot have the measure, or predictions that it needs were not kept.
        """
        from ..analysis import compare_study
        from ..analysis.measured import is_exploratory

        with collection_paused():
            seen = self._seen_by(metric, groups)
            return compare_study(seen if is_exploratory(seen) else self.shown, *names, split=split)

    def levels(
        self,
        *,
        split: Literal["validation", "test"] = "validation",
        metric: str | Callable[[NDArray[np.float64], NDArray[np.int64]], float] | None = None,
        groups: ArrayLike | None = None,
    ) -> pd.DataFrame:
        """Each arm's mean score with a 95 % interval over seeds and images: columns arm, mean, low, high, n.

        ``attrs["sentences"]`` says the same in words, and of what the intervals speak.

        Args:
            split, metric, groups: As for :meth:`compare`.

        Raises:
            SpecError, DataError: As :meth:`compare` does.
        """
        import pandas as pd

        from ..analysis import level_sentences, levels

        record = self._seen_by(metric, groups)
        frame = pd.DataFrame(
            [asdict(one) for one in levels(record, split)], columns=["arm", "mean", "low", "high", "n"]
        )
        frame.attrs["sentences"] = level_sentences(record, split)
        return frame

    def _seen_by(
        self,
        metric: str | Callable[[NDArray[np.float64], NDArray[np.int64]], float] | None,
        groups: ArrayLike | None,
    ) -> StudyRecord:
        """The brief record as seen by a measure, and by groups of one's own."""
        from ..analysis.measured import seen_by
        from ..measures import own_measure

        if metric is None and groups is None:
            return self.brief
        numbered = None if groups is None else number_groups(np.asarray(groups))
        measure = WORST_GROUP if metric is None else metric if isinstance(metric, str) else own_measure(metric)
        return seen_by(self.brief, measure, numbered)

    def threshold(
        self,
        class_name: str,
        *,
        arm: str | None = None,
        sensitivity: float | None = None,
        specificity: float | None = None,
        cost: float | None = None,
    ) -> OperatingPoint:
        """From which probability on a class is called, chosen for each run on its validation images.

        What is found (sensitivity) and left alone (specificity) is given with intervals over seeds and images, on test
        images too once they are revealed. Exactly one rule is given.

        Args:
            class_name: The class, such as ``ill``.
            arm: Whose runs; the best arm's if ``None``.
            sensitivity: Find this share of the class on validation images.
            specificity: Leave this share of the others alone there.
            cost: Cost least there, where one that is missed costs as much as so many false alarms.

        Raises:
            SpecError: Not exactly one rule is given, there is no such class or arm, no finished run, or there are
                folds.
            DataError: Predictions were not kept, or validation images are all of the class, or none is.
        """
        from ..analysis import best_arm, operating_point
        from ..analysis.operating import Rule
        from ..spec.arms import arm_name

        rule = Rule(sensitivity, specificity, cost)
        record = self.brief
        chosen = best_arm(record) if arm is None else arm_name(arm, [one.name for one in record.arms], self.study)
        if chosen is None:
            raise SpecError(Problem(f'study "{self.study}" has no finished run', "run it first"))
        return operating_point(record, chosen, class_name, rule)

    def curve(self, *, more: int | None = None) -> LearningCurves:
        """What more training images would bring, of a study whose ``[data] training`` is a factor.

        Args:
            more: How many more of each class; as many again as the largest size has unless given.

        Raises:
            SpecError: Sizes are no factor of the study, there are too few for a curve, or too few seeds have finished.
        """
        from ..analysis import learning_curves

        record = self.brief
        return learning_curves(record, more=more, parameters=_parameters(record))

    def robustness(
        self,
        *,
        split: Literal["validation", "test"] = "validation",
        images: int = 1000,
        seed: int = 0,
        on_progress: Callable[[int, int], None] = lambda num_done, num_runs: None,
    ) -> Robustness:
        """Accuracy of every arm on corrupted images, in five severities, and a verdict for each corruption.

        Each run is asked about its own validation images. What it answers is kept in the store: a second call is quick.

        Args:
            split: ``validation``; or ``test`` once every finished run has its test score, which counts as a look.
            images: Images for each run, at most, evenly spread.
            seed: Of the corruptions' draws.
            on_progress: Called after each run with how many have answered, and of how many.

        Raises:
            SpecError: No run has finished, none has its weights, the test split is sealed, or the images can bear no
                corruption.
            DataError: The data are gone, or have changed.
            DiskFull: There is no space left.
        """
        from .robustness import robustness

        return robustness(self.record, self.store, split=split, images=images, seed=seed, on_progress=on_progress)

    def diagnose(self) -> Diagnoses:
        """What is wrong with the study's runs: each diagnosis with its evidence, a next step and its source.

        Images that training and validation share are counted where the data set is at hand.
        """
        from ..analysis import diagnose_study

        record = self.record
        return diagnose_study(record, shared=shared_images(record))

    def reveal(
        self,
        *,
        retrain: str | None = None,
        on_scored: Callable[[RunRecord, float], None] = lambda run, accuracy: None,
        on_progress: Callable[[int, int], None] = lambda num_done, num_runs: None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Score finished runs on the sealed test split; record the look.

        The look and its scores are stored together, before any score is shown: interrupted earlier, none was seen and
        none is stored. A run is scored once. Where every run has its score already, they are shown again, and no look
        is recorded. Runs whose weights are missing or damaged have no score; ``attrs["unscored"]`` of the frame says
        what is wrong with each.

        Args:
            retrain: Name of the chosen arm. It is trained anew with every seed, on training and validation images
                together (on so many of each class of these where the study's ``training`` says so), and these runs
                alone are scored: no other arm is looked at.
            on_scored: Called for each run that was scored, once the look is stored.
            on_progress: Called after each run with how many are scored, and of how many.
            workers: As for :func:`run`; only for training.
            progress: As for :func:`run`; only for training.

        Returns:
            :meth:`frame`, or with ``retrain`` the same for the runs that were trained anew.

        Raises:
            SpecError: No run has finished, or the arm cannot be retrained.
            DataError: No run can be scored, since the weights are missing or damaged; or the data have changed since.
            DiskFull: The disk filled up. What had finished is kept.
            Interrupted: Ctrl-C. Finished epochs are kept.
        """
        from ..report import runs_frame
        from ..train.device import device_of
        from .reveal import keep_test_predictions, num_unscored, score_runs

        if num_unscored(self.brief, retrain) == 0:
            if retrain is None:
                keep_test_predictions(self.record, self.store)
            frame = runs_frame(self.record, retrained=retrain is not None)
            frame.attrs["unscored"] = {}
            return frame
        with open_writer(self.store) as writer:
            record = self.record
            if record.sets:
                return self._reveal_on_each(writer, record, retrain, on_scored, on_progress)
            study, dataset = record.design, dataset_of(record)
            if retrain is None:
                runs, tasks = record.runs, recorded_plan(record, dataset, self.store).tasks
            else:
                plan = retrain_plan(study, record, retrain, dataset, self.store, device=device_of(study.device))
                with open_reader(self.store) as reader, open_site("local", self.store / "logs") as site:
                    drive_plans([plan], writer, reader, site, workers=workers, progress=progress)
                names, tasks = {arm for arm, _ in plan.members}, plan.tasks
                runs = tuple(run for run in self.record.retrained if run.arm in names)
            finished = [run for run in runs if run.state == "finished"]
            if not finished:
                raise SpecError(Problem(f'study "{self.study}" has no finished run to score', "run it first"))
            by_id = {task.id: task for task in tasks}
            new = {run.id: (run, by_id[run.id]) for run in finished if run.test_accuracy is None}
            scored = score_runs(list(new.values()), dataset, self.store, on_progress=on_progress)
            if scored.scores:
                writer.put_look(
                    self.study,
                    scored.scores,
                    num_runs=len(finished) - len(scored.unscored),
                    test_images=scored.test_images,
                    is_of_retrained=retrain is not None,
                )
            elif len(scored.unscored) == len(finished):
                raise DataError(problem for _, error in scored.unscored for problem in error.problems)
        for run_id, score in scored.scores.items():
            on_scored(new[run_id][0], score.accuracy)
        frame = runs_frame(self.record, retrained=retrain is not None)
        frame.attrs["unscored"] = {f"{run.arm}, {run.label}": str(error) for run, error in scored.unscored}
        return frame

    def _reveal_on_each(
        self,
        writer: StoreWriter,
        record: StudyRecord,
        retrain: str | None,
        on_scored: Callable[[RunRecord, float], None],
        on_progress: Callable[[int, int], None],
    ) -> pd.DataFrame:
        """``reveal`` of a study on several data sets: one look at the test images of all."""
        from ..report import runs_frame
        from .reveal import score_runs

        if retrain is not None:
            what = f'study "{self.study}" has several data sets, and an arm is retrained on one'
            raise SpecError(
                Problem(what, "make a study of that data set, whose finished runs are taken over", "retrain")
            )
        finished = {run.id: run for run in record.runs if run.state == "finished"}
        if not finished:
            raise SpecError(Problem(f'study "{self.study}" has no finished run to score', "run it first"))
        scores: dict[str, TestScore] = {}
        unscored: list[tuple[RunRecord, DataError]] = []
        images: list[str] = []
        total, done = sum(run.test_accuracy is None for run in finished.values()), 0
        for part in parts_of(record).values():
            dataset = dataset_of(part)
            tasks = {task.id: task for task in recorded_plan(part, dataset, self.store).tasks}
            new = [(run, tasks[run.id]) for run in part.runs if run.state == "finished" and run.test_accuracy is None]
            scored = score_runs(new, dataset, self.store)
            done += len(new)
            on_progress(done, total)
            scores |= scored.scores
            unscored += scored.unscored
            images.append(scored.test_images)
        if scores:
            num_runs = len(finished) - len(unscored)
            writer.put_look(self.study, scores, num_runs=num_runs, test_images=" ".join(images))
        elif unscored and len(unscored) == len(finished):
            raise DataError(problem for _, error in unscored for problem in error.problems)
        for run_id, score in scores.items():
            on_scored(finished[run_id], score.accuracy)
        frame = runs_frame(self.record)
        frame.attrs["unscored"] = {f"{run.arm}, {run.label}": str(error) for run, error in unscored}
        return frame

    def run(self, arm: str | None = None, seed: int | None = None, *, fold: int | None = None) -> Run:
        """One finished run of the study.

        Args:
            arm: Its arm; the best one (``analysis.best_arm``) if ``None``.
            seed: Its seed; the first one if ``None``.
            fold: Its fold, where there are folds; the first one if ``None``.

        Raises:
            SpecError: There is no such arm, or no such run that has finished.
        """
        from .model import runs_of_arm

        record = self.record
        finished = runs_of_arm(record, arm)
        matches = [run for run in finished if seed in (None, run.seed) and fold in (None, run.fold)]
        if not matches:
            known = ", ".join(run.label for run in finished)
            raise SpecError(Problem(f"seed {seed} of {finished[0].arm} has not finished", f"finished: {known}", "seed"))
        return Run(self.store, *part_of_run(record, matches[0]))

    def explain(
        self, arm: str | None = None, seed: int | None = None, **options: Unpack[PictureOptions]
    ) -> Explanation:
        """Draws the requested pictures of one of the study's runs.

        Args:
            arm: The run's arm; the best one (``analysis.best_arm``) if ``None``.
            seed: Its seed; the first one if ``None``, as good as any other where the best would be the luckiest.
            options: As for :meth:`Run.explain`.

        Raises:
            SpecError, DataError: As :meth:`run` and :meth:`Run.explain` do.
        """
        return self.run(arm, seed).explain(**options)

    def doubtful_labels(self, *, least: float = 0.5) -> pd.DataFrame:
        """Training images whose labels are probably wrong, by the best arm's runs, the most doubtful first.

        Images that some runs held out are judged by these: by their mean probabilities, and how often each class's
        labels seem to be wrong (docs/guides/data.md). A study with folds holds every image out. Images that every run
        learned from are named where most runs still take them for another class.

        The best arm is the one with the highest mean validation accuracy of its finished runs (in a search that goes by
        loss, the lowest mean validation loss). Columns: index (in the training data), label, predicted (what it more
        likely is), doubt (the probability that the label is wrong; not a number where every run learned from the
        image), wrong (runs that do not see its label), held_out (of those, runs that never trained on it), runs.

        Args:
            least: The smallest doubt that is named: less names more images, of which fewer are wrong.

        Raises:
            SpecError: No run has finished.
            DataError: A run's weights are missing or damaged.
        """
        import pandas as pd

        from ..analysis import best_arm
        from .doubtful_labels import Doubt, doubts

        record = self.record
        dataset, best = dataset_of(record), best_arm(record)
        tasks = {task.id: task for task in recorded_plan(record, dataset, self.store).tasks}
        runs = [run for run in record.runs if run.arm == best and run.state == "finished"]
        doubtful = doubts(record, [(run, tasks[run.id]) for run in runs], dataset, self.store, least=least)
        names = dataset.info.classes
        rows = [
            {**asdict(doubt), "label": names[doubt.label], "predicted": names[doubt.predicted]} for doubt in doubtful
        ]
        return pd.DataFrame(rows, columns=[field.name for field in fields(Doubt)])

    def export(self, *formats: str, run: str | None = None, folder: str | Path | None = None) -> Exported:
        """Write a run's network as files that others can run: :func:`export`, by default of the first seed of the best
        arm."""
        return export(run if run is not None else self.study, *formats, folder=folder, store=self.store)

    def report(
        self,
        path: str | Path | None = None,
        *,
        form: ReportForm = "html",
        explanations: Sequence[Illustration] | None = None,
    ) -> Path:
        """Write the report and return its path.

        Args:
            path: Where; ``reports/STUDY`` with the form's suffix in the store's folder if ``None``, or in the current
                one as ``assay-reports/STUDY`` where the store cannot be written.
            form: ``html``, one file that needs nothing else; ``pdf``, that file as Chromium prints it; ``notebook``, an
                executed one whose cells call this API; ``markdown`` or ``latex``, the tables.
            explanations: Pictures of what the best arm has learned and where it fails, for ``html`` and ``pdf``; if
                ``None`` its confusion matrix, costliest images, calibration and first kernels.

        Raises:
            SpecError: What writes this form is not on this machine: Chromium for ``pdf``, nbclient for ``notebook``.
        """
        from ..report import SUFFIXES, as_latex, as_markdown, write_notebook, write_pdf, write_report

        record = with_look(self.store, self.record)
        target = (
            Path(path) if path is not None else output_folder(self.store, "reports") / f"{self.study}{SUFFIXES[form]}"
        )
        if form == "notebook":
            return write_notebook(target, record, self.store)
        if form in ("markdown", "latex"):
            return write_report(
                target, (as_markdown if form == "markdown" else as_latex)(record, **_report_parts(record))
            )
        if explanations is None:
            from .explanations import illustrations

            explanations = illustrations(record, self.store)
        return (write_pdf if form == "pdf" else write_report)(
            target, report_html(record, explanations, store=self.store)
        )

    def figures(self) -> dict[str, str]:
        """Title by name of every figure that :meth:`figure` draws: those of the report."""
        from .paper_figures import paper_figures

        figures = paper_figures(with_look(self.store, self.record), self.store)
        return {name: one.title for name, one in figures.items()}

    def figure(
        self, name: str, path: str | Path | None = None, *, width: str | float = "column", is_serif: bool = False
    ) -> Figure:
        """One figure of the report for a paper: vector fonts, no browser, and arms that stay apart in greyscale.

        Args:
            name: Of :meth:`figures`, such as ``scores`` or ``curves-accuracy-validation``.
            path: Where to write it, too: a ``.pdf``, ``.svg`` or ``.png`` file.
            width: ``column`` (3.3 inches), ``text`` (5.5), ``page`` (6.9), inches as a number, or such as ``84mm``.
            is_serif: Letters like Times, as in most LaTeX classes.

        Raises:
            SpecError: The report has no such figure, or the width or the suffix is none.
            DiskFull: There is no room for the file.
        """
        from .paper_figures import figure_named, paper_figures

        record = with_look(self.store, self.record)
        chosen = figure_named(paper_figures(record, self.store), name, self.study)
        if path is not None:
            chosen.save(path, width, is_serif=is_serif)
        return chosen.figure(width, is_serif=is_serif)

    def to_mlflow(self, uri: str | None = None, *, experiment: str | None = None) -> str:
        """Log every run that has trained in MLflow, with its settings, epochs and scores, and the answer.

        Each run is a run of an experiment that is called like the study. Runs that are there already are not repeated.

        Args:
            uri: The server or store; ``MLFLOW_TRACKING_URI`` or MLflow's own default if ``None``.
            experiment: Its name; the study's if ``None``.

        Returns:
            Where it was logged.

        Raises:
            SpecError: MLflow is not installed.
        """
        return self._log("mlflow", uri=uri, experiment=experiment)

    def to_tensorboard(self, folder: str | Path | None = None) -> str:
        """Write every run that has trained as event files; ``tensorboard --logdir FOLDER`` shows them.

        Args:
            folder: Where; ``tensorboard`` in the store's folder if ``None``. What an earlier call wrote is replaced.

        Returns:
            The command that shows them.

        Raises:
            SpecError: TensorBoard is not installed.
        """
        return self._log("tensorboard", folder=self.store / "tensorboard" if folder is None else Path(folder))

    def to_wandb(self, project: str | None = None, *, mode: str | None = None, folder: str | None = None) -> str:
        """Log every run that has trained in Weights & Biases, with its settings, epochs and scores, and the answer.

        Args:
            project: Its name; ``WANDB_PROJECT`` or the study's if ``None``.
            mode: ``online`` or ``offline``; ``WANDB_MODE`` if ``None``, and offline where nobody is logged in.
            folder: Where files are kept; ``WANDB_DIR`` or the current folder if ``None``.

        Returns:
            Where it was logged.

        Raises:
            SpecError: wandb is not installed.
        """
        return self._log("wandb", project=project, mode=mode, folder=folder)

    def _log(self, tracker: str, **options: Any) -> str:
        from ..tracking import log_study, open_tracker

        opened = open_tracker(tracker, **options)
        return log_study(with_look(self.store, self.record), opened)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """The answer in a sentence, where IPython shows text."""
        from ..analysis.answer import answer, progress_sentence

        record = self.shown
        done = progress_sentence(record)
        printer.text(f"{self.study}: {answer(record).headline}. {done[:1].upper()}{done[1:]}.")

    def _repr_html_(self) -> str:
        """The answer, the scores as a picture and a link to the report, which is written where there is none yet.

        Reports that are written here hold no pictures of what the best arm has learned, which take seconds; ``report``
        draws them.
        """
        from ..report import summary_html

        record = with_look(self.store, self.record)
        path: Path | None = self.store / "reports" / f"{self.study}.html"
        try:
            if path is not None and (not path.exists() or path.stat().st_mtime < record.last_event):
                self.report(path, explanations=())
        except (AssayError, OSError):  # a store that cannot be written, say: the answer counts
            path = None
        return summary_html(record, path)
