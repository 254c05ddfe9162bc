"""What a notebook, a script and the command line call: a study in, evidence out."""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .errors import DataError, Interrupted, Problem, SpecError, StoreError, nearest
from .records import dataset_of, gallery_of, network_tables, recorded_networks, shared_images
from .runner import (
    Plan,
    Pool,
    Progress,
    Site,
    check_networks,
    check_split,
    drive,
    open_site,
    plans,
    recorded_plan,
    retrain_plan,
)
from .spec import Data, Placement, Study, read_study, study_toml
from .store import (
    DATABASE,
    RunRecord,
    StoreReader,
    StoreWriter,
    StudyRecord,
    default_folder,
    open_reader,
    open_writer,
    uncollected,
)

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from .conversions import Conversion
    from .convert import Imported
    from .explain.projection import Projection
    from .explanations import Explanation, Split
    from .exports import Exported
    from .models import Model
    from .nets import Summary
    from .report import Comparison, Diagnoses, ReportForm
    from .report import Explanation as Illustration
    from .search import Found


# Shipped studies of tables, which lie in a folder where they are used, and what makes them.
_DOCUMENT_D = (
    "document-d",
    "assay data make mnist --variation random-background --format csv --train 12000 --test 10000 -o document-d",
)
_MADE_BY = dict.fromkeys(("document-d", "document-d-search", "document-d-vgg16"), _DOCUMENT_D)


def shipped() -> dict[str, Path]:
    """The studies that come with Assay, by name."""
    folder = Path(str(resources.files("assay") / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(study: str | Path, *, data: Data | None = None) -> Study:
    """A study from a TOML file or by the name of a shipped one, validated whole.

    Args:
        study: The file or the name.
        data: Other data than the file names: ``Data(path=...)``, ``arrays(...)`` or ``torch_dataset(...)``. How the
            file splits and scales them stays.

    Raises:
        SpecError: There is no such study, or it breaks rules; every problem is named, with file and line.
    """
    path, folder = Path(study), None
    known = shipped()
    if not path.is_file() and str(study) in known:
        path, folder = known[str(study)], Path.cwd()  # a shipped study's data lie where it is used
        tables, command = _MADE_BY.get(str(study), ("", ""))
        if tables and data is None and not (folder / tables).is_dir():
            raise DataError(Problem("its tables are not in this folder", f"run `{command}`", file=str(study)))
    elif not path.exists() and path.suffix != ".toml":
        raise SpecError(Problem(f'"{study}" is neither a file nor a shipped study', nearest(str(study), list(known))))
    if data is None:
        return read_study(path, folder=folder, check=check)
    source = {key: getattr(data, key) for key in Data.SOURCE}

    def on_data(study: Study) -> Study:
        return study.model_copy(update={"data": study.data.model_copy(update=source)})

    return on_data(read_study(path, folder=folder, check=lambda study: check(on_data(study))))


def arrays(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    test: tuple[ArrayLike, ArrayLike] | float | int | str | None = None,
    classes: Sequence[str] | int | None = None,
    groups: ArrayLike | None = None,
    name: str = "arrays",
) -> Data:
    """NumPy arrays as the data of a study: see ``assay.data.arrays``."""
    from .data import arrays as keep

    return keep(images, labels, test=test, classes=classes, groups=groups, name=name)


def torch_dataset(
    training: Any,
    *,
    test: Any = None,
    classes: Sequence[str] | int | None = None,
    groups: ArrayLike | None = None,
    name: str | None = None,
) -> Data:
    """A torch Dataset of (image, label) pairs as the data of a study: see ``assay.data.torch_dataset``."""
    from .data import torch_dataset as keep

    return keep(training, test=test, classes=classes, groups=groups, name=name)


def check(study: Study, *, store: Path | None = None) -> None:
    """Every rule that a study must keep and that needs no data: its networks can be built; of a search, at least one.

    Args:
        study: The study.
        store: The store that holds the runs that are bases.

    Raises:
        SpecError: A problem for each broken rule; where a search's constraints let nothing be trained, how close the
            nearest candidate came.
    """
    if study.search is None:
        check_networks(study, store=store)
        return
    from .data import info_of
    from .search import try_space

    try_space(study, info_of(study.data), store=store)


def describe(study: Study, *, store: str | Path | None = None) -> dict[str, Summary]:
    """Each arm's network by arm name: shapes, parameters, FLOPs. Nothing is trained or downloaded.

    A search has no arms yet: three random candidates that it might train stand for them, named by their values.

    Args:
        study: The study.
        store: The store that holds the runs that are bases; ``ASSAY_STORE`` or ``./assay-store`` if ``None``.

    Raises:
        SpecError: An arm cannot be built, or nothing that a search may draw can be trained.
    """
    folder = Path(store) if store is not None else default_folder()
    if study.search is not None:
        from .data import info_of
        from .search import try_space

        limits = {key: value for key, value in study.search.limits.items() if key != "seconds"}
        told = tuple(f"{cost} <= {most!r}" for cost, most in limits.items())
        search = study.search.model_copy(update={"constraints": told})
        searched = study.model_copy(update={"search": search})
        tried = try_space(searched, info_of(study.data), wanted=3, store=folder)
        named = {", ".join(f"{key} {value}" for key, value in one.chosen.items()): one for one in tried.allowed}
        return {name: one.summary for name, one in named.items() if one.summary is not None}
    return check_networks(study, store=folder)


def remarks(study: Study, *, store: str | Path | None = None) -> tuple[str, ...]:
    """What a user should know before a study runs: what reading the data worked out, scaling that seldom works, and
    another study of the same name that it would take the place of."""
    from .data import info_of

    info = info_of(study.data)
    told = list(info.notes)
    if study.data.scaling == "none" and info.dtype == "uint8":
        told.append(
            'scaling = "none" feeds raw bytes, 0 to 255: networks seldom train well on them; "unit" divides by 255.'
        )
    told += _of_bases(study, store)
    before = _before(study.name, Path(store) if store is not None else default_folder())
    if before is not None:
        is_another = before.question != study.question and before.data["content"] != info.content
        is_shared = bool({arm.name for arm in before.arms} & {arm.name for arm in study.expand()})
        if study.search is not None:
            is_shared = before.search is not None  # what changed in a search is told when it goes on
        if is_another or not is_shared:
            told.append(
                f'The store holds another study called "{study.name}" ("{before.question}"), and this one takes its '
                'place; its runs are kept. Give this one a name of its own (name = "...") to keep both.'
            )
    return tuple(told)


def _of_bases(study: Study, store: str | Path | None) -> list[str]:
    """What frozen bases cost: disk where they are cached, time where they cannot be."""
    if not any(owner is not None and owner.base is not None for owner in (study.network, *study.arms)):
        return []
    from .data import info_of
    from .nets.build import learned

    summaries = check_networks(study, store=Path(store) if store is not None else default_folder())
    images = info_of(study.data).num_training
    told: list[str] = []
    sizes = {
        4 * math.prod(learned(summary).input_shape) * images * (1 + summary.base.copies)
        for summary in summaries.values()
        if summary.base is not None and summary.base.is_cached
    }
    if sizes:
        told.append(f"What frozen bases put out is kept in the cache: about {sum(sizes) / 1e9:.2g} GB.")
    live = [name for name, s in summaries.items() if s.base and not s.base.is_cached and not any(s.base.first_epochs)]
    if live:
        told.append(
            f'The frozen base of arm "{live[0]}" runs in every step, since its images are augmented anew; '
            "copies = N in its base would compute N augmented copies of each image once, for all seeds."
        )
    return told


def _before(name: str, folder: Path) -> StudyRecord | None:
    """What a store holds under a study's name; ``None`` for nothing."""
    try:
        return result(name, store=folder).brief if (folder / DATABASE).exists() else None
    except StoreError:
        return None


def run(
    study: Study | str | Path,
    *,
    store: str | Path | None = None,
    workers: int | None = None,
    device: Placement | None = None,
    on: str = "local",
    artifacts: str | None = None,
    progress: Progress | None = None,
) -> Result:
    """Train what is missing of a study.

    Of a search: train its trials as far as it decides, then its finalists anew with fresh seeds; the best of them is
    written as a study file (``Result.best_file``).

    Runs are trained side by side, one worker process a core; on a CUDA device one after another. Calling it again
    runs nothing that has finished; a study that was interrupted goes on from the last finished epoch of each run.

    Args:
        study: A study, a study file or the name of a shipped study.
        store: The store's folder; ``ASSAY_STORE`` or ``./assay-store`` if ``None``.
        workers: Cores to use; all if ``None``. Runs take one each; where runs are fewer, they share the rest. On a
            CUDA device: runs at a time, one if ``None``.
        device: ``cpu``, ``cuda`` or ``auto``, instead of the study's own.
        on: ``local``, this machine; or a Ray cluster that is there already: ``ray``, the one that this machine belongs
            to, or ``ray://host:port``. See docs/cluster.md.
        artifacts: URL (fsspec's) of a folder that all of a cluster's machines reach: checkpoints stay there and weights
            come by it, instead of as messages. On this machine: where a cluster has left checkpoints to go on from.
        progress: What follows the study; a live display in a terminal and nothing elsewhere if ``None``.

    Raises:
        InputError: The study, the data, the store or the cluster is not usable. Nothing has been trained.
        DiskFull: The disk filled up. What had finished is kept.
        ClusterGone: The cluster does not answer any more. Finished epochs are kept.
        Interrupted: Ctrl-C. Finished epochs are kept.
    """
    from .data import prepare

    if not isinstance(study, Study):
        study = load(study)
    folder = Path(store) if store is not None else default_folder()
    check(study, store=folder)
    if workers is not None and workers < 1:
        raise SpecError(Problem(f"got {workers} workers", "give 1 or more"))
    if device is not None:
        study = study.model_copy(update={"device": device})
    dataset = prepare(study.data)
    check_split(study, dataset)
    with open_site(on, folder / "logs", artifacts) as site:
        device_there = site.device_of(study.device)
        with open_writer(folder) as writer, open_reader(folder) as reader:
            if study.search is not None:
                from .search import search_plans

                rounds = search_plans(study, dataset, folder, reader, writer, device=device_there)
            else:
                rounds = plans(study, dataset, folder, reader, writer, device=device_there)
            _train(rounds, writer, reader, site, workers=workers, progress=progress)
    found = Result(folder, study.name)
    if study.search is not None:
        found.write_best()
    return found


def _train(
    plans: Iterable[Plan],
    writer: StoreWriter,
    reader: StoreReader,
    site: Site,
    *,
    workers: int | None,
    progress: Progress | None,
) -> None:
    from .runner.progress import Live, Silent

    if progress is None:
        progress = Live() if sys.stderr.isatty() else Silent()
    tell = getattr(progress, "tell", lambda sentence: None)
    pool: Pool | None = None
    try:
        for plan in plans:
            num_workers = workers or site.num_workers(plan)
            make = functools.partial(site.executor, plan, reader, tell)
            if plan.trials:  # the first of many short rounds
                pool = pool or Pool(num_workers)
                make = functools.partial(pool.lend, make)
            drive(plan, writer, reader, make, progress, num_workers=num_workers, machine_cores=site.machine_cores)
    except KeyboardInterrupt:
        raise Interrupted("stopped; every finished epoch is kept, and the same command goes on from there") from None
    finally:
        if pool is not None:
            pool.close()


def studies(store: str | Path | None = None) -> list[str]:
    """Names of the studies in a store, the one that changed last first."""
    with open_reader(Path(store) if store is not None else default_folder()) as reader:
        return reader.study_names()


def overviews(store: str | Path | None = None) -> list[dict[str, Any]]:
    """What stands where in each study of a store, the one that changed last first: ``StoreReader.overviews``."""
    with open_reader(Path(store) if store is not None else default_folder()) as reader:
        return reader.overviews()


def result(study: str, *, store: str | Path | None = None) -> Result:
    """What a store holds of a study, without running anything.

    Raises:
        StoreError: There is no such store or study.
    """
    found = Result(Path(store) if store is not None else default_folder(), study)
    with open_reader(found.store) as reader:
        reader.check(study)
    return found


def report_html(record: StudyRecord, explanations: Sequence[Illustration] = ()) -> str:
    """A study's report, one HTML file, as a text."""
    from .report import render

    return render(
        record,
        **_told(record),
        gallery=gallery_of(record),
        toml=study_toml(Study.of(record.spec)),
        explanations=explanations,
    )


def _told(record: StudyRecord) -> dict[str, Any]:
    """What reports say beyond the record."""
    return {
        "summaries": network_tables(recorded_networks(record)),
        "shared": shared_images(record),
        "version": version("assay"),
    }


def export(run: str, *formats: str, folder: str | Path | None = None, store: str | Path | None = None) -> Exported:
    """Write a finished run's network as files that others can run, and a model card.

    Args:
        run: The start of a run's id, or a study: then the first seed of its best arm.
        formats: ``keras``, ``onnx``, ``onnx-int8``, ``torch``, ``safetensors``, ``c``.
        folder: Where to write; ``STUDY-RUN`` in the current folder if ``None``.
        store: The store's folder; ``ASSAY_STORE`` or ``./assay-store`` if ``None``.

    Raises:
        SpecError: A format is not known, its library is not installed, or it cannot hold this network.
        StoreError: There is no such run.
        DataError: The run's weights are missing or damaged, or the folder cannot be written.
        RunError: A file's predictions are not ours. It is not kept.
        DiskFull: There is no space left.
    """
    from .exports import export_run

    target = Path(folder) if folder is not None else None
    return export_run(run, formats, Path(store) if store is not None else default_folder(), target)


def predict(
    run: str,
    *images: str | Path | ArrayLike,
    arm: str | None = None,
    calibrate: bool = False,
    resize: bool = False,
    store: str | Path | None = None,
) -> pd.DataFrame:
    """Classes of new images, with a probability for each class.

    Args:
        run: The start of a run's id, or a study: then the first seed of its best arm.
        images: Files and folders, as ``assay predict`` takes them, or one array [n, height, width] or
            [n, height, width, channels]: 0 to 255, or 0 to 1.
        arm: Ask all finished seeds of this arm of the study, by their mean probability; ``"best"`` is its best arm.
        calibrate: Fit a temperature on validation images.
        resize: Resize images of another size instead of refusing them.
        store: The store's folder; ``ASSAY_STORE`` or ``./assay-store`` if ``None``.

    Returns:
        A row for each image: Id (a file's name, or a number from 0), Category, Confidence, and a column for each class.

    Raises:
        StoreError: There is no such run or study.
        SpecError: There is no such arm, or nothing to calibrate on.
        DataError: Images cannot be read, or have another size.
    """
    from .predictions import ask, frame_of

    folder = Path(store) if store is not None else default_folder()
    return frame_of(ask(run, folder, arm=arm, calibrated=calibrate), images, resize=resize)


def from_keras(model: Any) -> Imported:
    """A Keras Sequential model as ours: layer words, and weights where it has some.

    Args:
        model: A model in memory, or the path of a ``.keras`` file, which is read as settings and arrays: nothing in it
            is run.

    Raises:
        SpecError: It is no Sequential model, or has layers without words here; a problem for each.
        DataError: The file is damaged.
    """
    from .convert import from_keras, read_keras

    return read_keras(Path(model)) if isinstance(model, str | Path) else from_keras(model)


def convert(source: str | Path) -> Conversion:
    """The Keras Sequential models of a notebook, a script or a ``.keras`` file as a study; nothing in it is run.

    Raises:
        SpecError: It holds no Sequential model, or one with layers without words here; a problem for each.
        DataError: The file cannot be read.
    """
    from .conversions import convert_file

    return convert_file(Path(source))


@dataclass(frozen=True)
class Result:
    """A study in a store. Everything is read from the store when asked for, also while the study runs."""

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
    def runs(self) -> tuple[RunRecord, ...]:
        return self.record.runs

    def search(self) -> Found:
        """What a search found: its rungs, every trial, how lucky the finalists were.

        Raises:
            SpecError: The study is no search.
        """
        from .search import found_in

        record = self.record
        if record.search is None:
            raise SpecError(Problem(f'study "{self.study}" is no search', "add [search] to its file"))
        return found_in(record)

    def trials(self) -> pd.DataFrame:
        """One row for each trial of a search: its parameters' values, costs, epochs (0: all) and score."""
        import pandas as pd

        found = self.search()
        rows = [
            {"trial": one.trial, **one.chosen, "parameters": one.parameters, "flops": one.flops, "epochs": one.epochs,
             found.metric: one.score}
            for one in found.outcomes
        ]  # fmt: skip
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
        from .disk import write
        from .search import best_study

        best = best_study(self.search())
        if best is None:
            return None
        write(self.best_file, study_toml(best).encode())
        return self.best_file

    def frame(self) -> pd.DataFrame:
        """One row for each run: arm, levels, seed, state, metrics of the kept epoch, test metrics once revealed."""
        from .report import runs_frame

        return runs_frame(self.record)

    def epochs(self) -> pd.DataFrame:
        """One row for each epoch of each run."""
        from .report import epochs_frame

        return epochs_frame(self.record)

    def compare(self, *names: str, split: Literal["validation", "test"] = "validation") -> Comparison:
        """Verdicts on the study's arms and factors, on runs paired by seed.

        Args:
            names: Nothing: every arm against the first, and the effects of crossed factors. A factor: its effects. Two
                arms: the second against the first.
            split: Whose accuracy: ``"validation"``, or ``"test"`` once revealed.

        Raises:
            SpecError: A name is no factor or arm, there is one arm only, or the test split is sealed.
        """
        from .report import compare_study

        with uncollected():
            return compare_study(self.brief, *names, split=split)

    def diagnose(self) -> Diagnoses:
        """What is wrong with the study's runs: each diagnosis with its evidence, a next step and its source.

        Images that training and validation share are counted where the data set is at hand.
        """
        from .report import diagnose_study

        record = self.record
        return diagnose_study(record, shared=shared_images(record))

    def reveal(
        self,
        *,
        retrain: str | None = None,
        on_scored: Callable[[RunRecord, float], None] = lambda run, accuracy: None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Score finished runs on the sealed test split; record the look.

        A run is scored once; looking again shows the same scores and counts as another look.

        Args:
            retrain: Name of the chosen arm. It is trained anew with every seed, on training and validation images
                together (on so many of each class of these where the study's ``training`` says so), and these runs
                alone are scored: no other arm is looked at.
            on_scored: Called after each run.
            workers: As for :func:`run`; only for training.
            progress: As for :func:`run`; only for training.

        Returns:
            :meth:`frame`, or with ``retrain`` the same for the runs that were trained anew.

        Raises:
            SpecError: No run has finished, or the arm cannot be retrained.
            DataError: A run's weights are missing or damaged, or the data have changed since it was trained.
            DiskFull: The disk filled up. What had finished is kept.
            Interrupted: Ctrl-C. Finished epochs are kept.
        """
        from .report import runs_frame
        from .runner.reveal import score_runs
        from .train.device import device_of

        with open_writer(self.store) as writer:
            record = self.record
            study, dataset = Study.of(record.spec), dataset_of(record)
            if retrain is None:
                plan, runs = recorded_plan(record, dataset, self.store), record.runs
            else:
                plan = retrain_plan(study, record, retrain, dataset, self.store, device=device_of(study.device))
                with open_reader(self.store) as reader, open_site("local", self.store / "logs") as site:
                    _train([plan], writer, reader, site, workers=workers, progress=progress)
                names = {arm for arm, _ in plan.members}
                runs = tuple(run for run in self.record.retrained if run.arm in names)
            finished = [run for run in runs if run.state == "finished"]
            if not finished:
                raise SpecError(Problem(f'study "{self.study}" has no finished run to score', "run it first"))
            tasks = {task.id: task for task in plan.tasks}
            new = {run.id: (run, tasks[run.id]) for run in finished if run.test_accuracy is None}
            scores = score_runs(list(new.values()), dataset, self.store, on_scored=on_scored)
            writer.put_look(self.study, scores, num_runs=len(finished), is_of_retrained=retrain is not None)
        return self.frame() if retrain is None else runs_frame(self.record, retrained=True)

    def run(self, arm: str | None = None, seed: int | None = None, *, fold: int | None = None) -> Run:
        """One finished run of the study.

        Args:
            arm: Its arm; the best one (``report.best_arm``) if ``None``.
            seed: Its seed; the first one if ``None``.
            fold: Its fold, where there are folds; the first one if ``None``.

        Raises:
            SpecError: There is no such arm, or no such run that has finished.
        """
        from .models import runs_of_arm

        record = self.record
        finished = runs_of_arm(record, arm)
        found = [run for run in finished if seed in (None, run.seed) and fold in (None, run.fold)]
        if not found:
            known = ", ".join(run.label for run in finished)
            raise SpecError(Problem(f"seed {seed} of {finished[0].arm} has not finished", f"finished: {known}", "seed"))
        return Run(self.store, record, found[0])

    def explain(
        self,
        arm: str | None = None,
        seed: int | None = None,
        *,
        only: str | Sequence[str] | None = None,
        layer: str | None = None,
        image: int | str | Path | NDArray[Any] | None = None,
        split: Split = "validation",
        projection: Projection = "pca",
    ) -> Explanation:
        """Pictures of what a run learned and where it fails: see :meth:`Run.explain`.

        Args:
            arm: The run's arm; the best one (``report.best_arm``) if ``None``.
            seed: Its seed; the first one if ``None``, as good as any other where the best would be the luckiest.
            only: As there.
            layer: As there.
            image: As there.
            split: As there.
            projection: As there.
        """
        return self.run(arm, seed).explain(only=only, layer=layer, image=image, split=split, projection=projection)

    def doubtful_labels(self) -> pd.DataFrame:
        """Training images that most runs of the best arm take for another class, the most doubtful first.

        The best arm is the one with the highest mean validation accuracy of its finished runs (in a search that goes by
        loss, the lowest mean validation loss). Columns: index (in the training data), label, predicted, wrong, held_out
        (wrong runs that never trained on it), runs.

        Raises:
            SpecError: No run has finished.
            DataError: A run's weights are missing or damaged.
        """
        import pandas as pd

        from .report import best_arm
        from .runner.doubts import Doubt, doubts

        record = self.record
        dataset, best = dataset_of(record), best_arm(record)
        tasks = {task.id: task for task in recorded_plan(record, dataset, self.store).tasks}
        runs = [run for run in record.runs if run.arm == best and run.state == "finished"]
        found = doubts([(run, tasks[run.id]) for run in runs], dataset, self.store)
        names = dataset.info.classes
        rows = [{**asdict(doubt), "label": names[doubt.label], "predicted": names[doubt.predicted]} for doubt in found]
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
            path: Where; ``reports/STUDY`` with the form's suffix in the store's folder if ``None``.
            form: ``html``, one file that needs nothing else; ``pdf``, that file as Chromium prints it; ``notebook``, an
                executed one whose cells call this API; ``markdown`` or ``latex``, the tables.
            explanations: Pictures of what the best arm has learned and where it fails, for ``html`` and ``pdf``; if
                ``None`` its confusion matrix, costliest images, calibration and first kernels.

        Raises:
            SpecError: What writes this form is not on this machine: Chromium for ``pdf``, nbclient for ``notebook``.
        """
        from .report import SUFFIXES, as_latex, as_markdown, write_notebook, write_pdf, write_report

        record = self.record
        target = Path(path) if path is not None else self.store / "reports" / f"{self.study}{SUFFIXES[form]}"
        if form == "notebook":
            return write_notebook(target, record, self.store)
        if form in ("markdown", "latex"):
            return write_report(target, (as_markdown if form == "markdown" else as_latex)(record, **_told(record)))
        if explanations is None:
            from .explanations import illustrations

            explanations = illustrations(record, self.store)
        return (write_pdf if form == "pdf" else write_report)(target, report_html(record, explanations))

    def _repr_html_(self) -> str:
        from .report import summary_html

        return summary_html(self.record)


def find(name: str, *, store: str | Path | None = None) -> Run:
    """A run by the first characters of its id, or by its study's name: then the first seed of the study's best arm.

    Raises:
        StoreError: There is no store, or no such run or study, or more than one.
        SpecError: The study has no finished run.
    """
    from .models import find_run

    folder = Path(store) if store is not None else default_folder()
    return Run(folder, *find_run(name, folder))


@dataclass(frozen=True)
class Run:
    """A run in a store."""

    store: Path
    study: StudyRecord
    record: RunRecord

    def model(self) -> Model:
        """Its network with its weights.

        Raises:
            SpecError: It has not finished.
            DataError: Its weights are missing or damaged, or data that are needed are gone.
        """
        from .models import load_models

        return load_models(self.study, [self.record], self.store)[0]

    def epochs(self) -> pd.DataFrame:
        """One row for each epoch."""
        from .report import epochs_frame

        return epochs_frame(replace(self.study, runs=(self.record,)))

    def explain(
        self,
        *,
        only: str | Sequence[str] | None = None,
        layer: str | None = None,
        image: int | str | Path | NDArray[Any] | None = None,
        split: Split = "validation",
        projection: Projection = "pca",
    ) -> Explanation:
        """Pictures of what the run learned and where it fails.

        Args:
            only: Names of pictures (``assay explain --help`` lists them), also as one text with commas; all that can
                be made if ``None``.
            layer: The layer of kernels and maps.
            image: The image of activations and evidence: its place in the training data (in the test data with
                ``split="test"``), an image file, or an array as stored [height, width, channels].
            split: The images that failures are explained on; ``"test"`` once the run has been scored on it.
            projection: ``"pca"`` or ``"tsne"``, for the map of features.

        Raises:
            SpecError: A name is no picture or layer, an image is not there, the test split is sealed, or a picture
                that was asked for by name cannot be made.
            DataError: Weights or data are gone or have changed, or the image does not fit.
        """
        from .explanations import explain

        return explain(self.model(), only=only, layer=layer, image=image, split=split, projection=projection)

    def _repr_html_(self) -> str:
        return self.record._repr_html_()
