"""A stored study: its records, verdicts, tables, reports and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import numpy as np

from ..errors import AssayError, Problem, SpecError
from ..spec import study_toml
from ..spec.metric import WORST_GROUP
from ..store import (
    RunRecord,
    StudyRecord,
    brief_study,
    collection_paused,
    default_folder,
    open_reader,
    part_of_run,
)
from .recorded import dataset_of, parameters_of, shared_images
from .run import Run, export
from .verdict_record import with_look

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

    from ..analysis import Comparison, Diagnoses, LearningCurves, OperatingPoint, Robustness
    from ..report import Illustration, ReportForm
    from ..runner import Progress
    from ..search import SearchResult
    from .explanations import Explanation, PictureOptions
    from .exports import Exported


def result(study: str, *, store: str | Path | None = None) -> Result:
    """Open a study in a store. Nothing is run.

    Args:
        study: The study's name. :func:`studies` lists those of a store.
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Returns:
        The result, also of a study that has not finished.

    Raises:
        NoStore: The folder holds no store.
        NoSuchStudy: The store holds no such study.

    Example:
        >>> result = assay.result("first-verdict")
        >>> result.study
        'first-verdict'
    """
    stored = Result(Path(store) if store is not None else default_folder(), study)
    with open_reader(stored.store) as reader:
        reader.check(study)
    return stored


@dataclass(frozen=True)
class Result:
    """A study in a store, with its verdicts, tables, pictures and files.

    :func:`run` and :func:`result` return it. Each call reads the store again, so a result follows a study that is
    still running. In a notebook a result shows the answer and a picture of the scores.

    Args:
        store: The store's folder.
        study: The study's name.

    Example:
        >>> result = assay.result("first-verdict")
        >>> print(result.compare())
        filters=16 is better than filters=4: accuracy is ... points higher (95 % interval ... to ..., 10 seeds).
        A seed changes split, init, order. ...
    """

    store: Path
    study: str

    @property
    def record(self) -> StudyRecord:
        """Everything that the store holds of the study.

        Example:
            >>> record = assay.result("first-verdict").record
            >>> len(record.arms), len(record.runs)
            (2, 20)
        """
        with open_reader(self.store) as reader:
            return reader.study(self.study)

    @property
    def brief(self) -> StudyRecord:
        """The record with only the state and scores of each run. It is read much faster for a large study."""
        return brief_study(self.store, self.study)

    @property
    def shown(self) -> StudyRecord:
        """The brief record, for code that shows verdicts. Reading it records a look at the verdicts in the store."""
        return with_look(self.store, self.brief)

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """The record of every run: its arm, seed, state, epochs and scores.

        Example:
            >>> run = assay.result("first-verdict").runs[0]
            >>> run.arm, run.label, run.state
            ('filters=4', 'seed 0', 'finished')
        """
        return tuple(self.record.runs)

    def search(self) -> SearchResult:
        """Return the result of a search: its trials, its rungs, and how optimistic the scores of its finalists were.

        Raises:
            SpecError: The study is not a search.

        Example:
            >>> study = assay.Study(
            ...     name="small-nets",
            ...     data={"name": "digits"},
            ...     network={"layers": ["flatten", "dense {units} relu", "dense classes softmax"]},
            ...     training={"epochs": 1},
            ...     seeds={"count": 2},
            ...     search={"space": {"units": {"low": 8, "high": 32}}, "trials": 3, "finalists": 1},
            ... )
            >>> result = assay.run(study)
            >>> search = result.search()
            >>> len(search.outcomes), search.optimism[0].n  # trials; fresh seeds of the finalist
            (3, 2)
            >>> list(result.trials().columns)
            ['trial', 'units', 'parameters', 'flops', 'epochs', 'validation_accuracy']
            >>> result.best_file.name
            'small-nets-best.toml'
        """
        from ..search import result_of_search

        record = self.record
        if record.search is None:
            raise SpecError(Problem(f'study "{self.study}" is no search', "add [search] to its file"))
        return result_of_search(record)

    def trials(self) -> pd.DataFrame:
        """Return one row for each trial of a search: its values, costs, epochs and score.

        In the column ``epochs``, 0 stands for all epochs.

        Raises:
            SpecError: The study is not a search.
        """
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
        """The path of the study file that holds a search's best arm. :func:`run` writes it when the search ends."""
        return self.store / "studies" / f"{self.study}-best.toml"

    def write_best(self) -> Path | None:
        """Write the finalist with the best mean over fresh seeds as a study file.

        Returns:
            The file's path. ``None`` if no finalist has finished.

        Raises:
            SpecError: The study is not a search.
            DiskFull: There is no space left.
        """
        from ..disk import write
        from ..search import best_study

        best = best_study(self.search())
        if best is None:
            return None
        write(self.best_file, study_toml(best).encode())
        return self.best_file

    def frame(self) -> pd.DataFrame:
        """Return one row for each run: arm, factor levels, seed, state, metrics of the kept epoch, and costs.

        The columns ``test_accuracy`` and ``test_loss`` are empty until the test split is revealed.

        Example:
            >>> frame = assay.result("first-verdict").frame()
            >>> frame[["arm", "seed", "state"]].head(2)
                     arm  seed     state
            0  filters=4     0  finished
            1  filters=4     1  finished
        """
        from ..report import runs_frame

        return runs_frame(self.record)

    def scores(self) -> pd.DataFrame:
        """Return one row for each run with its score and everything else that verdicts depend on.

        :func:`judge` of this table gives the study's verdicts again, word for word, on any machine.

        Example:
            >>> result = assay.result("first-verdict")
            >>> str(assay.judge(result.scores())) == f"{result.compare().sentences[0]}."
            True
        """
        from ..judging import score_frame

        return score_frame(self.record)

    def epochs(self) -> pd.DataFrame:
        """Return one row for each epoch of each run: losses, accuracies, learning rate and seconds.

        Example:
            >>> len(assay.result("first-verdict").epochs())  # 20 runs of 30 epochs
            600
        """
        from ..report import epochs_frame

        return epochs_frame(self.record)

    def compare(
        self,
        *names: str,
        split: Literal["validation", "test"] = "validation",
        metric: str | Callable[[NDArray[np.float64], NDArray[np.int64]], float] | None = None,
        groups: ArrayLike | None = None,
    ) -> Comparison:
        """Judge the study's arms and factors on runs paired by seed.

        Verdicts by the study's own metric are recorded in the store as a look.

        Args:
            names: Nothing: every arm against the first, and the effects of crossed factors. One factor: its effects.
                Two arms: the second against the first.
            split: The images to compare on: ``"validation"``, or ``"test"`` once the test split is revealed.
            metric: The measure to compare by. The study's own metric if ``None``. Any other is exploratory:
                ``"macro_auc"``, ``"log_loss"``, ``"recall:cat"`` and others (docs/explanation/statistics.md), or a
                function of probabilities [images, classes] and labels [images]. Higher values of a function count as
                better, unless its attribute ``higher_is_better`` is false.
            groups: For ``"worst_group_accuracy"``: the group of each training image [images]. The data set's own groups
                if ``None``.

        Returns:
            The :class:`~assay.analysis.Comparison`. Print it for the verdicts; ``frame()`` has one row for each.

        Raises:
            SpecError: A name is no factor, arm or measure; the study has one arm only; or the test split is sealed.
            DataError: The measure is not defined for these images, or it needs predictions that were not kept.

        Example:
            >>> comparison = assay.result("first-verdict").compare()
            >>> contrast = comparison.contrasts[0]
            >>> contrast.baseline, contrast.arm, contrast.outcome
            ('filters=4', 'filters=16', 'better')
            >>> contrast.difference.mean > 0  # a fraction: 0.05 is 5 points
            True
            >>> print(assay.result("first-verdict").compare(metric="log_loss").contrasts[0].outcome)
            better
        """
        from ..analysis import compare_study
        from ..analysis.measured import is_exploratory

        with collection_paused():
            seen = self._seen_by(metric, groups)
            shown = seen if is_exploratory(seen) else with_look(self.store, seen)
            return compare_study(shown, *names, split=split)

    def levels(
        self,
        *,
        split: Literal["validation", "test"] = "validation",
        metric: str | Callable[[NDArray[np.float64], NDArray[np.int64]], float] | None = None,
        groups: ArrayLike | None = None,
    ) -> pd.DataFrame:
        """Return the mean score of each arm, with a 95 % interval over seeds and images.

        Args:
            split: As for :meth:`compare`.
            metric: As for :meth:`compare`.
            groups: As for :meth:`compare`.

        Returns:
            A table with columns ``arm``, ``mean``, ``low``, ``high`` and ``n``. ``attrs["sentences"]`` says the same in
            words, and what the intervals generalize to.

        Raises:
            SpecError: As for :meth:`compare`.
            DataError: As for :meth:`compare`.

        Example:
            >>> assay.result("first-verdict").levels().round(2)
                      arm  mean   low  high   n
            0   filters=4  0.9...
            1  filters=16  0.9...
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
        from ..data.grouped import number_groups

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
        """Choose the probability from which a class is called, for each run on its validation images.

        Give exactly one of ``sensitivity``, ``specificity`` and ``cost``.

        Args:
            class_name: The class, such as ``"ill"``.
            arm: The arm whose runs are used. The best arm by validation if ``None``.
            sensitivity: The share of the class's validation images to find, in (0, 1).
            specificity: The share of the other validation images not to call, in (0, 1).
            cost: Minimize the cost on validation images, where one missed image costs as much as this many false
                alarms. Above 0.

        Returns:
            The :class:`~assay.analysis.OperatingPoint`: thresholds, and sensitivity and specificity with intervals over
            seeds and images. Test images are included once they are revealed.

        Raises:
            SpecError: Not exactly one rule is given, there is no such class or arm, no run has finished, or the study
                has folds.
            DataError: Predictions were not kept, or validation images are all of the class or none is.

        Example:
            >>> point = assay.result("first-verdict").threshold("8", sensitivity=0.95)
            >>> print(point.sentences[0])
            "8" is called where its probability is at least ...
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
        """Extrapolate the learning curve: what more training images would bring.

        The study needs ``[data] training`` as a factor, with four sizes or more (docs/reference/study-file.md).

        Args:
            more: How many more images of each class. If ``None``, as many as the largest size has.

        Returns:
            The :class:`~assay.analysis.LearningCurves`: the gain with an interval, for each network.

        Raises:
            SpecError: The number of images is no factor of the study, there are too few sizes, or too few seeds have
                finished.

        Example:
            >>> study = assay.Study(
            ...     name="sizes",
            ...     data={"name": "digits", "training": "{images} per class"},
            ...     network={"layers": ["flatten", "dense classes softmax"]},
            ...     factors={"images": [10, 20, 40, 80]},
            ...     training={"epochs": 3},
            ...     seeds={"count": 3},
            ... )
            >>> print(assay.run(study).curve().headline)
            80 more images a class would bring ... points [...], from 80 a class on, if they are like these
        """
        from ..analysis import learning_curves

        record = self.brief
        return learning_curves(record, more=more, parameters=parameters_of(record))

    def robustness(
        self,
        *,
        split: Literal["validation", "test"] = "validation",
        images: int = 1000,
        seed: int = 0,
        on_progress: Callable[[int, int], None] = lambda num_done, num_runs: None,
    ) -> Robustness:
        """Score every arm on corrupted images in five severities, with a verdict for each corruption.

        Each run predicts corrupted copies of its own validation images. The predictions are kept in the store, so a
        second call is quick.

        Args:
            split: ``"validation"``; or ``"test"`` once every finished run has its test score. The latter counts as a
                look.
            images: The most images for each run, evenly spread over the split.
            seed: The seed of the corruptions' random draws.
            on_progress: Called after each run with the number of runs done and the number of runs.

        Returns:
            The :class:`~assay.analysis.Robustness`: scores by corruption and severity, and verdicts.

        Raises:
            SpecError: No run has finished, no weights are left, the test split is sealed, or the images do not allow
                any corruption.
            DataError: The data are missing or have changed.
            DiskFull: There is no space left.

        Example:
            >>> robustness = assay.result("first-verdict").robustness(images=50)
            >>> robustness.corruptions[:3]
            ('gaussian_noise', 'shot_noise', 'impulse_noise')
            >>> robustness.verdicts[0].corruption, robustness.verdicts[0].b
            ('all corruptions', 'filters=16')
        """
        from .robustness import robustness

        return robustness(self.record, self.store, split=split, images=images, seed=seed, on_progress=on_progress)

    def diagnose(self) -> Diagnoses:
        """Find problems of the study's runs, such as overfitting, dead units or a learning rate that is too high.

        Returns:
            The :class:`~assay.analysis.Diagnoses`: each problem with its evidence, a next step and its source. Images
            that training and validation share are counted if the data set is on this machine.

        Example:
            >>> diagnoses = assay.result("first-verdict").diagnose()
            >>> diagnoses.looked_at
            {'filters=4': 10, 'filters=16': 10}
            >>> list(diagnoses.frame().columns)
            ['arm', 'seed', 'fold', 'kind', 'evidence', 'advice', 'source', 'epoch']
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
        """Score the finished runs on the sealed test split, and record the look.

        Make your choices on validation images first. The look and its scores are stored together before any score is
        shown. Each run is scored once. If every run has a score already, the scores are shown again and no look is
        recorded.

        Args:
            retrain: The name of the chosen arm. It is trained again with every seed on training and validation images
                together, and only these runs are scored. If the study limits the images of each class, so does this.
            on_scored: Called with each newly scored run and its accuracy, once the look is stored.
            on_progress: Called after each run with the number of runs scored and the number of runs.
            workers: As for :func:`run`. Only used with ``retrain``.
            progress: As for :func:`run`. Only used with ``retrain``.

        Returns:
            The table of :meth:`frame`; with ``retrain``, of the retrained runs. Runs whose weights are missing or
            damaged have no score: ``attrs["unscored"]`` gives the reason for each.

        Raises:
            SpecError: No run has finished, or the arm cannot be retrained.
            DataError: No run can be scored, because weights are missing or damaged, or the data have changed.
            DiskFull: The disk is full. Finished runs are kept.
            Interrupted: You pressed Ctrl-C. Finished epochs are kept.

        Example:
            >>> frame = assay.result("first-verdict").reveal()
            >>> int(frame["test_accuracy"].count())
            20
            >>> len(assay.result("first-verdict").record.looks)
            1
        """
        from .reveal import reveal_study

        return reveal_study(
            self.study,
            self.store,
            retrain=retrain,
            on_scored=on_scored,
            on_progress=on_progress,
            workers=workers,
            progress=progress,
        )

    def run(self, arm: str | None = None, seed: int | None = None, *, fold: int | None = None) -> Run:
        """Return one finished run of the study.

        Args:
            arm: The run's arm. The best arm by validation if ``None``.
            seed: The run's seed. The first finished one if ``None``.
            fold: The run's fold, from 1, if the study has folds. The first one if ``None``.

        Raises:
            SpecError: There is no such arm, or no such finished run.

        Example:
            >>> run = assay.result("first-verdict").run("filters=16", seed=3)
            >>> run.record.label
            'seed 3'
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
        """Draw pictures of what one run learned and where it fails.

        Args:
            arm: The run's arm. The best arm by validation if ``None``.
            seed: The run's seed. The first finished one if ``None``: the best seed would be the luckiest one.
            options: As for :meth:`Run.explain`.

        Raises:
            SpecError: As for :meth:`run` and :meth:`Run.explain`.
            DataError: As for :meth:`Run.explain`.

        Example:
            >>> pictures = assay.result("first-verdict").explain(only="confusion")
            >>> pictures["confusion"].title
            'Confusion matrix'
        """
        return self.run(arm, seed).explain(**options)

    def doubtful_labels(self, *, least: float = 0.5) -> pd.DataFrame:
        """List training images whose labels are probably wrong, according to the best arm's runs.

        An image that some runs held out is judged by those runs. A study with folds holds out every image. An image
        that every run trained on is listed if most runs still predict another class. The method is in
        docs/guides/data.md.

        The best arm has the highest mean validation accuracy of its finished runs. In a search that minimizes loss, it
        has the lowest mean validation loss.

        Args:
            least: The smallest doubt to list, in [0, 1]. A lower value lists more images, of which fewer are wrong.

        Returns:
            A table, the most doubtful image first. ``index``: the image's place in the training data. ``label``: its
            label. ``predicted``: the more likely class. ``doubt``: the probability that the label is wrong, NaN if
            every run trained on the image. ``wrong``: runs that predict another class. ``held_out``: those of them that
            never trained on it. ``runs``: all runs.

        Raises:
            SpecError: No run has finished.
            DataError: Weights are missing or damaged, or the data are missing.

        Example:
            >>> doubts = assay.result("first-verdict").doubtful_labels()
            >>> list(doubts.columns)
            ['index', 'label', 'predicted', 'doubt', 'wrong', 'held_out', 'runs']
        """
        import pandas as pd

        from ..analysis import best_arm
        from ..runner import recorded_plan
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
        """Write the network of one run as files that other programs run, with a model card.

        Args:
            formats: ``"keras"``, ``"onnx"``, ``"onnx-int8"``, ``"onnx-int4"``, ``"litert"``, ``"litert-int8"``,
                ``"torch"``, ``"huggingface"``, ``"safetensors"``, ``"c"``, ``"c-int4"``, ``"c-int2"`` or
                ``"c-ternary"``.
            run: The beginning of a run's id. The first seed of the best arm if ``None``.
            folder: The folder to write to. ``STUDY-RUN`` in the current folder if ``None``.

        Returns:
            The written files and the model card. Every file that can be run was compared with the run's predictions.

        Raises:
            SpecError: A format is not known, its library is not installed, or it cannot hold this network.
            NoSuchRun: There is no such run.
            DataError: Weights are missing or damaged, or the folder cannot be written.
            RunError: A file's predictions differ from those of the run. The file is not kept.
            DiskFull: There is no space left.

        Example:
            >>> exported = assay.result("first-verdict").export("c", folder="on-a-board")
            >>> sorted(path.name for path in exported.folder.iterdir())
            ['model-card.md', 'model.h']
        """
        return export(run if run is not None else self.study, *formats, folder=folder, store=self.store)

    def report(
        self,
        path: str | Path | None = None,
        *,
        form: ReportForm = "html",
        explanations: Sequence[Illustration] | None = None,
    ) -> Path:
        """Write the study's report and return its path.

        Args:
            path: The file to write. If ``None``: ``reports/STUDY`` with the form's suffix in the store's folder; or
                ``assay-reports/STUDY`` in the current folder if the store cannot be written.
            form: ``"html"``: one file that needs nothing else. ``"pdf"``: that file, printed by Chromium.
                ``"notebook"``: an executed notebook whose cells call this API. ``"markdown"`` or ``"latex"``: the
                tables.
            explanations: Pictures of what the best arm learned and where it fails, for ``html`` and ``pdf``. If
                ``None``: its confusion matrix, costliest images, calibration and first kernels. ``()`` draws none and
                is faster.

        Raises:
            SpecError: This machine lacks what the form needs: Chromium for ``pdf``, nbclient for ``notebook``.
            DiskFull: There is no space left.

        Example:
            >>> assay.result("first-verdict").report("verdict.md", form="markdown").name
            'verdict.md'
        """
        from .report_files import write_study_report

        return write_study_report(with_look(self.store, self.record), self.store, path, form, explanations)

    def figures(self) -> dict[str, str]:
        """List the figures that :meth:`figure` draws: those of the report.

        Returns:
            The title of each figure, by its name.

        Example:
            >>> assay.result("first-verdict").figures()["scores"]
            'Validation accuracy of every run'
        """
        from .paper_figures import paper_figures

        figures = paper_figures(with_look(self.store, self.record), self.store)
        return {name: one.title for name, one in figures.items()}

    def figure(
        self, name: str, path: str | Path | None = None, *, width: str | float = "column", is_serif: bool = False
    ) -> Figure:
        """Draw one figure of the report for a paper. Fonts are vectors, and arms can be told apart in greyscale.

        Args:
            name: The figure's name in :meth:`figures`, such as ``"scores"`` or ``"curves-accuracy-validation"``.
            path: A ``.pdf``, ``.svg`` or ``.png`` file to write the figure to. ``None`` writes nothing.
            width: ``"column"`` (3.3 inches), ``"text"`` (5.5), ``"page"`` (6.9), a number of inches, or a text such as
                ``"84mm"``.
            is_serif: Use a serif font like Times, as most LaTeX classes do.

        Returns:
            The Matplotlib figure.

        Raises:
            SpecError: The report has no such figure, or the width or the suffix is not valid.
            DiskFull: There is no space left.

        Example:
            >>> figure = assay.result("first-verdict").figure("scores", "scores.pdf")
            >>> print(round(figure.get_figwidth(), 1))  # inches
            3.3
        """
        from .paper_figures import figure_named, paper_figures

        record = with_look(self.store, self.record)
        chosen = figure_named(paper_figures(record, self.store), name, self.study)
        if path is not None:
            chosen.save(path, width, is_serif=is_serif)
        return chosen.figure(width, is_serif=is_serif)

    def to_mlflow(self, uri: str | None = None, *, experiment: str | None = None) -> str:
        """Log every trained run to MLflow, with its settings, epochs, scores and the study's answer.

        Each run becomes a run of one MLflow experiment. Runs that were logged before are not repeated.

        Args:
            uri: The MLflow server or store. If ``None``: ``MLFLOW_TRACKING_URI``, or MLflow's default.
            experiment: The experiment's name. The study's name if ``None``.

        Returns:
            The place that the runs were logged to.

        Raises:
            SpecError: MLflow is not installed.
        """
        return self._log("mlflow", uri=uri, experiment=experiment)

    def to_tensorboard(self, folder: str | Path | None = None) -> str:
        """Write every trained run as TensorBoard event files. ``tensorboard --logdir FOLDER`` shows them.

        Args:
            folder: The folder to write to. ``tensorboard`` in the store's folder if ``None``. Files of an earlier call
                are replaced.

        Returns:
            The command that shows them.

        Raises:
            SpecError: TensorBoard is not installed.
        """
        return self._log("tensorboard", folder=self.store / "tensorboard" if folder is None else Path(folder))

    def to_wandb(self, project: str | None = None, *, mode: str | None = None, folder: str | None = None) -> str:
        """Log every trained run to Weights & Biases, with its settings, epochs, scores and the study's answer.

        Args:
            project: The project's name. If ``None``: ``WANDB_PROJECT``, or the study's name.
            mode: ``"online"`` or ``"offline"``. If ``None``: ``WANDB_MODE``, or offline if nobody is logged in.
            folder: The folder for local files. If ``None``: ``WANDB_DIR``, or the current folder.

        Returns:
            The place that the runs were logged to.

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
