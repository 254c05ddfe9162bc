"""What a notebook, a script and the command line call: a study in, evidence out."""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, NoSuchStudy, Problem, SpecError, nearest
from .extras import needed
from .judging import judge as judge
from .results.ledger import ledger as ledger
from .results.result import Result as Result
from .results.result import report_html as report_html
from .results.result import result as result
from .results.run import Run as Run
from .results.run import export as export
from .results.run import find as find
from .results.run import predict as predict
from .runner import (
    Callback,
    Progress,
    check_networks,
    check_split,
    drive_plans,
    notes_of,
    open_site,
    plans,
    shown,
    with_checked_metric,
)  # fmt: skip
from .runner.own_code import has_own, refuse_elsewhere, try_own
from .spec import Data, Placement, Study, read_study
from .store import DATABASE, StudyRecord, default_folder, open_reader, open_writer
from .tracking import LiveTracking, TrackerName, answer_text, check_tracker, live_trackers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .analysis.planning import SeedPlan
    from .capturing import Capture, Captured, RunConversion
    from .convert import Imported
    from .convert.conversion import Conversion
    from .nets import Summary
    from .runner.rate_range import RateRange
    from .starting import DataAnswer


# Shipped studies of files, which lie in the folder where they are used: which these are, and where they come from.
_DOCUMENT_D = (
    "document-d",
    "its tables are not in this folder",
    "run `assay data make mnist --variation random-background --format csv --train 12000 --test 10000 -o document-d`",
)
_IN_GENERAL = (
    "in-general",
    "its data are not in this folder",
    "run `"
    + " && ".join(
        (
            "assay data make cifar10 --format npz -o in-general/cifar10",
            "assay data make mnist --variation rotated --format npz --train 20000 --test 10000 "
            "-o in-general/mnist-rotated",
            "assay data make fashion_mnist --variation random-background --format npz --train 20000 --test 10000 "
            "-o in-general/fashion-background",
        )
    )
    + "`",
)
_PNEUMONIA = (
    "pneumonia_imbalanced.npz",
    "pneumonia_imbalanced.npz is not in this folder",
    "put PneumoniaMNIST's pneumoniamnist.npz (medmnist.com) there under this name, with fewer of its healthy training "
    "images if you will: 388 of 1,214 are meant",
)
_DOUBTFUL = (
    "doubtful-labels/data.npz",
    "its data are not in this folder",
    "run `assay data make fashion_mnist --variation noisy-labels --share 0.2 --train 6000 --format npz "
    "-o doubtful-labels`",
)
_FILES = {
    **dict.fromkeys(("document-d", "document-d-search", "document-d-vgg16"), _DOCUMENT_D),
    "in-general": _IN_GENERAL,
    "pneumonia-balance": _PNEUMONIA,
    "doubtful-labels": _DOUBTFUL,
}


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
        name, what, fix = _FILES.get(str(study), ("", "", ""))
        if name and data is None and not (folder / name).exists():
            raise DataError(Problem(what, fix, file=str(study)))
    elif not path.exists() and path.suffix != ".toml":
        raise SpecError(Problem(f'"{study}" is neither a file nor a shipped study', nearest(str(study), list(known))))
    elif path.is_file() and path.suffix != ".toml":
        _refuse_other_file(path)
    if data is None:
        return read_study(path, folder=folder, check=check)
    source = {key: getattr(data, key) for key in Data.SOURCE}

    def on_data(study: Study) -> Study:
        return study.model_copy(update={"data": study.data.model_copy(update=source)})

    return on_data(read_study(path, folder=folder, check=lambda study: check(on_data(study))))


def _refuse_other_file(path: Path) -> None:
    """Name the command that takes a file which is no study file.

    Raises:
        SpecError: It is a notebook, a script, a model, or results.
    """
    ending = path.suffix.lower()
    if ending in (".ipynb", ".py"):
        kind = "a notebook" if ending == ".ipynb" else "a script"
        fix = f"write its models as study files with `assay convert --run {path}`"
        if ending == ".ipynb":
            fix += ", or go on in the notebook: assay.capture() before its first model"
    elif ending in (".keras", ".h5", ".hdf5"):
        kind, fix = "a model", f"write a study file with `assay convert {path} -o {path.stem}.toml`"
    elif ending in (".csv", ".tsv", ".parquet"):
        kind = "a table"
        fix = f"of results, judge them with `assay judge {path}`; of images, begin a study file with `assay init`"
    else:
        return
    raise SpecError(Problem(f"this is {kind}, not a study file", fix, file=str(path)))


def start_study(template: str, data: str | DataAnswer, name: str, *, folder: str | Path = ".") -> Path:
    """Write a commented study file to begin with; returns its path.

    Args:
        template: ``ablation``, ``grid``, ``search``, ``transfer`` or ``own-images``.
        data: A data set's name, or a folder or file of images.
        name: The study's name: ``NAME.toml`` is written.
        folder: Where.

    Raises:
        SpecError: There is no such template or data set, the name is none, or the file is there already.
        DataError: The images cannot be read.
        DiskFull: There is no space left.
    """
    from .disk import disk_errors
    from .spec import parse_study
    from .starting import TEMPLATES, data_answer, study_text

    if template not in TEMPLATES:
        raise SpecError(Problem(f'there is no template "{template}"', nearest(template, list(TEMPLATES)), "template"))
    if not re.fullmatch(r"[\w.-]+", name) or not name.strip("."):
        raise SpecError(Problem(f'"{name}" is no name for a study', "use letters, digits, - and _", "name"))
    path = Path(folder) / f"{name}.toml"
    if path.exists():
        raise SpecError(Problem("this file is there already", "give another name", file=str(path)))
    answer = data_answer(data) if isinstance(data, str) else data
    text = study_text(TEMPLATES[template], answer, name)
    parse_study(text, file=str(path), name=name, check=check)
    with disk_errors(path, "written"), open(path, "x", encoding="utf-8") as file:
        file.write(text)
    return path


def arrays(
    images: ArrayLike,
    labels: ArrayLike,
    *,
    test: tuple[ArrayLike, ArrayLike] | float | int | str | None = None,
    classes: Sequence[str] | int | None = None,
    groups: ArrayLike | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    name: str = "arrays",
) -> Data:
    """NumPy arrays as the data of a study: see ``assay.data.arrays``."""
    from .data import arrays as keep

    return keep(images, labels, test=test, classes=classes, groups=groups, validation=validation, name=name)


def torch_dataset(
    training: Any,
    *,
    test: Any = None,
    classes: Sequence[str] | int | None = None,
    groups: ArrayLike | None = None,
    validation: Any = None,
    name: str | None = None,
) -> Data:
    """A torch Dataset of (image, label) pairs as the data of a study: see ``assay.data.torch_dataset``."""
    from .data import torch_dataset as keep

    return keep(training, test=test, classes=classes, groups=groups, validation=validation, name=name)


def check(study: Study, *, store: Path | None = None) -> None:
    """Every rule that a study must keep and that needs no data: its networks can be built; of a search, at least one.

    Args:
        study: The study.
        store: The store that holds the runs that are bases.

    Raises:
        SpecError: A problem for each broken rule; where a search's constraints let nothing be trained, how close the
            nearest candidate came.
        NotInstalled: It is a search, and Optuna is not there.
    """
    if study.search is None:
        check_networks(study, store=store)
        for arm in study.expand() if study.arms else ():
            if arm.search is not None:
                check(study.searched(arm, study.seeds.start), store=store)
        return
    from .data import info_of
    from .search import try_space

    needed("optuna", "Searches")
    tried = try_space(study, info_of(study.data), store=store).allowed[0]
    if tried.arm is not None and tried.summary is not None:
        try_own(tried.arm, tried.summary)


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
        constraints = tuple(f"{cost} <= {most!r}" for cost, most in limits.items())
        search = study.search.model_copy(update={"constraints": constraints})
        searched = study.model_copy(update={"search": search})
        tried = try_space(searched, info_of(study.data), wanted=3, store=folder)
        by_values = {
            ", ".join(f"{key} {value}" for key, value in candidate.chosen.items()): candidate
            for candidate in tried.allowed
        }
        return {name: candidate.summary for name, candidate in by_values.items() if candidate.summary is not None}
    return check_networks(study, store=folder)


def remarks(study: Study, *, store: str | Path | None = None) -> tuple[str, ...]:
    """Notes for the user before a study runs: what Assay inferred from the data, scaling that seldom works, and another
    study of the same name that this one would replace."""
    from .data import info_of

    if study.parts:
        return _remarks_on_each(study, store)
    info = info_of(study.data)
    notes = list(info.notes)
    if study.data.scaling == "none" and info.dtype == "uint8":
        notes.append(
            'scaling = "none" feeds raw bytes, 0 to 255: networks seldom train well on them; "unit" divides by 255.'
        )
    notes += _of_bases(study, store)
    before = _before(study.name, Path(store) if store is not None else default_folder())
    if before is not None:
        is_another = before.question != study.question and before.data["content"] != info.content
        is_shared = bool({arm.name for arm in before.arms} & {arm.name for arm in study.expand()})
        if study.search is not None:
            is_shared = before.search is not None  # what changed in a search is said when it resumes
        if is_another or not is_shared:
            notes.append(
                f'The store holds another study called "{study.name}" ("{before.question}"), and this one takes its '
                'place; its runs are kept. Give this one a name of its own (name = "...") to keep both.'
            )
    return tuple(notes)


def _remarks_on_each(study: Study, store: str | Path | None) -> tuple[str, ...]:
    """What there is to remark on each of several data sets, each remark once."""
    from .analysis.general import LEAST_SETS, few_sets

    notes: dict[str, None] = {}
    for name, part in study.parts.items():
        alone = part.model_copy(update={"name": f"{study.name}-{name}"})  # the store has no part by itself
        notes.update({f"{name}: {note}": None for note in remarks(alone, store=store)})
    if len(study.parts) < LEAST_SETS:
        notes[f"{few_sets(len(study.parts))}."] = None
    return tuple(notes)


def _of_bases(study: Study, store: str | Path | None) -> list[str]:
    """What frozen bases cost: disk where they are cached, time where they cannot be."""
    if not any(owner is not None and owner.base is not None for owner in (study.network, *study.arms)):
        return []
    from .data import info_of
    from .nets.build import learned

    summaries = check_networks(study, store=Path(store) if store is not None else default_folder())
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


def _before(name: str, folder: Path) -> StudyRecord | None:
    """What a store holds under a study's name; ``None`` for nothing."""
    try:
        return result(name, store=folder).brief if (folder / DATABASE).exists() else None
    except NoSuchStudy:
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
    callbacks: Sequence[Callback] = (),
    track: TrackerName | Sequence[TrackerName] = (),
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
            to, or ``ray://host:port``. See docs/guides/cluster.md.
        artifacts: URL (fsspec's) of a folder that all of a cluster's machines reach: checkpoints stay there and weights
            come by it, instead of as messages. On this machine: where a cluster has left checkpoints to go on from.
        progress: What follows the study; a live display in a notebook or a terminal, and nothing elsewhere, if
            ``None``.
        callbacks: Objects whose methods are called after each epoch and at the end of each run.
        track: Trackers that log runs as they train: ``mlflow``, ``tensorboard``, ``wandb``, where their own settings
            say (TensorBoard's files lie in the store). One that fails is named once, and training goes on.

    Raises:
        InputError: The study, the data, the store or the cluster is not usable, or a tracker's package is not
            installed. Nothing has been trained.
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
    refuse_elsewhere(study, on)
    names = [track] if isinstance(track, str) else list(track)
    for name in names:
        check_tracker(name)
    parts = study.parts or {"": study}
    datasets = {data: prepare(part.data) for data, part in parts.items()}
    for data, part in parts.items():
        check_split(part, datasets[data])
    title = ", ".join(dataset.info.title for dataset in datasets.values())
    checked = [with_checked_metric(part, datasets[data]) for data, part in parts.items()]
    study = study if study.parts else checked[0]
    progress = shown(progress)
    with contextlib.ExitStack() as stack, open_site(on, folder / "logs", artifacts, notes_of(progress)) as site:
        trackers = _live_trackers(names, progress, folder, title, stack)
        device_there = "cpu" if has_own(study) else site.device_of(study.device)
        with open_writer(folder) as writer, open_reader(folder) as reader:
            if study.search is not None:
                from .search import search_plans

                rounds = search_plans(study, datasets[""], folder, reader, writer, device=device_there)
            elif any(arm.search is not None for arm in study.arms):
                from .search import plans_with_searches

                note = notes_of(progress)
                rounds = plans_with_searches(
                    study, datasets[""], folder, reader, writer, device=device_there, note=note
                )
            else:
                rounds = plans(
                    study, datasets if study.parts else datasets[""], folder, reader, writer, device=device_there
                )
            followers = [*callbacks, *trackers]
            drive_plans(rounds, writer, reader, site, workers=workers, progress=progress, callbacks=followers)
        outcome = Result(folder, study.name)
        for tracker in trackers:
            tracker.close(study.name, answer_text(outcome.brief))
    if study.search is not None:
        outcome.write_best()
    return outcome


def _live_trackers(
    names: Sequence[str], progress: Progress, folder: Path, data: str, stack: contextlib.ExitStack
) -> list[LiveTracking]:
    """Trackers that log as a study trains; where it is interrupted, ``stack`` closes them."""
    if not names:
        return []

    def note(text: str) -> None:
        show = getattr(progress, "note", None)
        if show is not None:
            show(text)
        else:
            warnings.warn(text, stacklevel=2)

    trackers = live_trackers(names, note, data=data, tensorboard={"folder": folder / "tensorboard"})
    for tracker in trackers:
        stack.callback(tracker.close)
    return trackers


def plan(
    study: Study | str | Path,
    *,
    difference: float | None = None,
    like: str | None = None,
    store: str | Path | None = None,
) -> SeedPlan:
    """How many seeds and validation images a wanted difference needs, before they are trained.

    How much seeds differ is predicted from what one or two runs of each arm get right (Jordan 2024), and measured where
    there are two or more. Nothing is trained, and no verdict is shown.

    Args:
        study: A study, a study file, the name of a shipped study, or of one in the store.
        difference: The wanted difference, in percentage points; the study's margin if ``None``.
        like: A study of the store that has run, whose seeds this one's will resemble.
        store: The store's folder; ``ASSAY_STORE`` or ``./assay-store`` if ``None``.

    Raises:
        NoSuchStudy: The store does not hold ``like``.
        SpecError: The study is not usable, no run tells how much seeds differ, or the difference is none.
    """
    from .results.planning import seed_plan

    folder = Path(store) if store is not None else default_folder()
    if not isinstance(study, Study):
        before = _before(str(study), folder)
        is_file = Path(study).suffix == ".toml" or Path(study).is_file()
        study = load(study) if is_file or before is None else before.design
    return seed_plan(study, folder, difference=difference, like=like)


def lr_range(
    study: Study | str | Path,
    *,
    arm: str | None = None,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 200,
    seeds: int = 1,
    store: str | Path | None = None,
) -> RateRange:
    """A learning-rate range test: training steps of an arm with a rate that rises from step to step.

    Nothing is stored, and neither validation nor test images are looked at.

    Args:
        study: A study, a study file or the name of a shipped study.
        arm: The arm's name; the first one if ``None``.
        low, high: The first and the last learning rate; those between are evenly spread by decade.
        steps: Training steps from one to the other.
        seeds: So many of the study's seeds, one test each.
        store: The store that holds the runs that are bases.

    Returns:
        Losses by learning rate, ``suggested`` (where the loss falls fastest), ``sentence`` and ``picture``.

    Raises:
        SpecError: The study is not usable, has no such arm, or the range is none.
        DataError: The data are not at hand.

    Source: Smith (2017), "Cyclical learning rates for training neural networks".
    """
    from .runner.rate_range import rate_range
    from .system import num_cores

    if not isinstance(study, Study):
        study = load(study)
    folder = Path(store) if store is not None else default_folder()
    return rate_range(study, folder, arm=arm, low=low, high=high, steps=steps, seeds=seeds, threads=num_cores())


def studies(store: str | Path | None = None) -> list[str]:
    """Names of the studies in a store, the one that changed last first."""
    with open_reader(Path(store) if store is not None else default_folder()) as reader:
        return reader.study_names()


def overviews(store: str | Path | None = None) -> list[dict[str, Any]]:
    """What stands where in each study of a store, the one that changed last first: ``StoreReader.overviews``."""
    with open_reader(Path(store) if store is not None else default_folder()) as reader:
        return reader.overviews()


def from_keras(model: Any) -> Imported:
    """A Keras model as ours: layer words, and weights where it has some.

    Args:
        model: A Sequential or functional model in memory, or the path of a ``.keras`` or ``.h5`` file, which is read as
            settings and arrays: nothing in it is run.

    Raises:
        SpecError: It has layers without words here (a problem for each), or paths that no block can express.
        DataError: The file is damaged.
    """
    from .convert import from_keras, read_keras

    return read_keras(Path(model)) if isinstance(model, str | Path) else from_keras(model)


def convert(source: str | Path) -> Conversion:
    """The Keras models of a notebook, a script, a ``.keras`` or an ``.h5`` file as a study; nothing in it is run.

    Of code, Sequential models of literal layers are read, and what else a study needs is refused.

    Raises:
        SpecError: It holds no such model, a layer has no words here, or something would have to be run, for which
            ``assay convert --run`` and ``convert_by_running`` are the remedy.
        DataError: The file cannot be read.
    """
    from .convert.conversion import convert_file

    return convert_file(Path(source))


def convert_by_running(source: str | Path, folder: str | Path, *, seconds: float = 300) -> RunConversion:
    """The Keras models that a script or notebook makes and trains when its code is run, as studies.

    The code runs in a process of its own, without network, where ``fit`` records and returns at once.

    Args:
        source: A ``.py`` or ``.ipynb`` file.
        folder: Where images that are no known data set are kept, as ``.npz`` files.
        seconds: How long its code may take.

    Raises:
        DataError: The file cannot be read.
        SpecError: It gave no study: what it lacks, and why each of its models cannot be one.
    """
    from .capturing import convert_by_running as run_file

    return run_file(Path(source), Path(folder), seconds=seconds)


def capture() -> Capture:
    """Records the Keras models that are compiled and fitted from here on; the code goes on as before.

    Keras 3 (on any backend) and ``tf.keras`` may be imported before or after. ``captured`` gives what was recorded. In
    a ``with`` block recording ends with the block, else with ``stop()`` or the next ``capture()``.
    """
    from .capturing import capture as start

    return start()


def captured() -> list[Captured]:
    """The models that were fitted since the last ``capture()``, each as a study with notes.

    ``captured()[0].study`` is the study, ``.notes`` what could not be taken over as it is, with its cell and line,
    ``.vary(dropout=[0, 0.5])`` the same with a factor, ``.run(seeds=10)`` trains it. A warning says why there is none.
    """
    from .capturing import captured as recorded

    return recorded(run)
