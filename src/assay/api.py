"""Functions for notebooks, scripts and the command line: they take a study and return its results."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError, InputError, NoSuchStudy, Problem, SpecError, nearest
from .extras import needed
from .judging import judge as judge
from .results.ledger import ledger as ledger
from .results.report_files import report_html as report_html
from .results.result import Result as Result
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
from .runner.remarks import of_bases, of_margin, of_norms
from .spec import Arm, Data, Placement, Study, read_study
from .store import DATABASE, StudyRecord, default_folder, open_reader, open_writer
from .tracking import LiveTracking, TrackerName, answer_text, check_tracker, live_trackers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .analysis.planning import SeedPlan
    from .capturing import Capture, Captured, RunConversion
    from .convert import Imported
    from .convert.conversion import Conversion
    from .data import DatasetInfo
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
    """List the studies that come with Assay.

    Returns:
        The path of each study file, by the study's name. ``load`` and ``run`` take the name.

    Example:
        >>> assay.shipped()["first-verdict"].name
        'first-verdict.toml'
    """
    folder = Path(str(resources.files("assay") / "studies"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def load(study: str | Path, *, data: Data | None = None) -> Study:
    """Read a study from a TOML file, or by the name of a shipped study. The whole file is checked.

    Args:
        study: The path of a study file, or a name that :func:`shipped` lists.
        data: Data to use instead of those that the file names: ``Data(path=...)``, ``arrays(...)`` or
            ``torch_dataset(...)``. The file still decides how they are split and scaled.

    Returns:
        The study. Nothing has been trained.

    Raises:
        SpecError: There is no such study, or it breaks rules. ``problems`` holds every broken rule, with file and line.
        DataError: The shipped study needs files that are not in the current folder.

    Example:
        >>> study = assay.load("first-verdict")
        >>> study.question
        "Do sixteen filters beat four on scikit-learn's handwritten digits?"
        >>> [arm.name for arm in study.expand()]
        ['filters=4', 'filters=16']
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
    """Write a commented study file to begin with, and return its path.

    Args:
        template: ``ablation``, ``grid``, ``search``, ``transfer`` or ``own-images``.
        data: The name of a data set, or the path of a folder or file of images.
        name: The study's name. The file is called ``NAME.toml``.
        folder: The folder to write to.

    Raises:
        SpecError: There is no such template or data set, the name is not valid, or the file exists.
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
    """Use NumPy arrays as the data of a study.

    The arrays are copied to the cache and identified by their content. A later process finds them there.

    Args:
        images: Numbers [n, height, width], [n, height, width, channels], [n, channels, height, width] or
            [n, pixels]. Values are 0 to 255, 0 to 1, or 16-bit.
        labels: Integers or texts [n], or one-hot rows [n, classes].
        test: The test split. Either a pair (images, labels); or a share in (0, 1) or a count, drawn from each class;
            or the last images, such as ``"last 20%"`` or ``"last 2000"``. ``None``: there is no test split.
        classes: The class names in the order of their labels, or the number of classes. Inferred if ``None``.
        groups: One integer or text for each image [n]. Images with equal values belong together, such as those of one
            person, and no split divides them.
        validation: A pair (images, labels) that studies with ``validation = "given"`` validate on. Other studies treat
            these images as training images. With ``groups``, append their groups to those of ``images``.
        name: What to call the data.

    Returns:
        The data, for ``Study(data=...)`` and ``load(..., data=...)``.

    Raises:
        DataError: Shapes, types or values do not fit together.
        SpecError: The test share or count is not valid.
        DiskFull: There is no space left for the copy.

    Example:
        >>> import numpy as np
        >>> images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
        >>> data = assay.arrays(images, np.arange(60) % 3, test=0.2, name="noise")
        >>> study = assay.load("first-verdict", data=data)
        >>> study.data.name
        'noise'
    """
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
    """Use a PyTorch ``Dataset`` as the data of a study. A sequence or generator of (image, label) pairs works too.

    Each item is read once and copied to the cache. Leave out transforms that normalize images or draw at random.

    Images are PIL images, arrays [height, width] or [height, width, channels], or tensors [channels, height, width].
    All have one size. Values are 0 to 255 or 0 to 1.

    Args:
        training: The training images. An object without a length, such as an ``IterableDataset``, is read to its end.
            More than 16,777,216 images, or more than fit into memory, are refused.
        test: A second dataset for the test split; or a share, a count or the last images, as for :func:`arrays`.
            ``None``: there is no test split.
        classes: The class names. ``training.classes`` if ``None``.
        groups: As for :func:`arrays`.
        validation: A dataset for a validation part of its own, as for :func:`arrays`.
        name: What to call the data. The name of the dataset's class if ``None``.

    Returns:
        The data, for ``Study(data=...)`` and ``load(..., data=...)``.

    Raises:
        DataError: Items are not pairs, or images differ in size or type.
        SpecError: The test share or count is not valid.
        DiskFull: There is no space left for the copy.

    Example:
        >>> import torch
        >>> from torch.utils.data import TensorDataset
        >>> images = torch.randint(0, 256, (60, 1, 8, 8), dtype=torch.uint8)
        >>> pairs = TensorDataset(images, torch.arange(60) % 3)
        >>> assay.torch_dataset(pairs, test=0.2, name="noise").name
        'noise'
    """
    from .data import torch_dataset as keep

    return keep(training, test=test, classes=classes, groups=groups, validation=validation, name=name)


def check(study: Study, *, store: Path | None = None) -> None:
    """Check every rule of a study that needs no data: above all, that its networks can be built.

    For a search, at least one candidate must be trainable.

    Args:
        study: The study.
        store: The store with the runs that serve as bases.

    Raises:
        SpecError: One or more rules are broken; ``problems`` holds each. If a search's constraints exclude every
            candidate, the message says how close the nearest one came.
        NotInstalled: The study is a search, and Optuna is not installed.
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
    """Summarize the network of each arm: shapes, parameters and FLOPs. Nothing is trained or downloaded.

    A search has no arms yet. Three random candidates that it might train are summarized instead, under their values.

    Args:
        study: The study.
        store: The store with the runs that serve as bases. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Returns:
        A :class:`~assay.nets.Summary` for each arm, by the arm's name.

    Raises:
        SpecError: An arm cannot be built, or a search has no candidate that can be trained.

    Example:
        >>> networks = assay.describe(assay.load("first-verdict"))
        >>> networks["filters=16"].parameters
        1610
        >>> [layer.name for layer in networks["filters=16"].layers]
        ['conv1', 'maxpool1', 'flatten1', 'dense1']
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
    """List what you should know before a study runs.

    Remarks name what Assay inferred from the data, scaling that seldom trains well, a margin that is most likely meant
    as a share, batch normalization with too high a momentum for so few steps, the disk space and time of frozen bases,
    and another study of the same name that this one would replace in the store.

    Args:
        study: The study.
        store: The store that the study will run in. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Returns:
        Sentences; none if there is nothing to remark.

    Raises:
        SpecError: A network cannot be built.
        DataError: The data are missing or cannot be read.

    Example:
        >>> study = assay.Study(
        ...     data={"name": "digits", "scaling": "none"},
        ...     network={"layers": ["flatten", "dense classes softmax"]},
        ... )
        >>> assay.remarks(study)
        ('scaling = "none" feeds raw bytes, 0 to 255: networks seldom train well on them; "unit" divides by 255.',)
    """
    from .data import info_of

    if study.parts:
        return _remarks_on_each(study, store)
    info = info_of(study.data)
    notes = list(info.notes)
    if study.data.scaling == "none" and info.dtype == "uint8":
        notes.append(
            'scaling = "none" feeds raw bytes, 0 to 255: networks seldom train well on them; "unit" divides by 255.'
        )
    folder = Path(store) if store is not None else default_folder()
    notes += of_margin(study, info)
    notes += of_norms(study, _to_train(study, info, folder), info, folder)
    notes += of_bases(study, folder)
    before = _before(study.name, folder)
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


def _to_train(study: Study, info: DatasetInfo, store: Path | None) -> tuple[Arm, ...]:
    """The arms that a study trains; of a search, a candidate that it might train, if one can be drawn."""
    if study.search is None:
        return tuple(arm for arm in study.expand() if arm.search is None)
    from .search import try_space

    try:
        return tuple(one.arm for one in try_space(study, info, store=store).allowed if one.arm is not None)
    except InputError:
        return ()


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
    """Train the missing runs of a study.

    Runs that have finished are not repeated. An interrupted run continues after its last finished epoch. A search
    trains its trials, then its finalists with fresh seeds, and writes the best one as a study file
    (:attr:`Result.best_file`).

    On a processor, runs are trained side by side, one worker process for each core. On a CUDA device they are trained
    one after another.

    Args:
        study: A study, the path of a study file, or the name of a shipped study.
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.
        workers: Cores to use, 1 or more; all if ``None``. If there are fewer runs than cores, each run uses several.
            On a CUDA device: runs at a time, one if ``None``.
        device: ``"cpu"``, ``"cuda"`` or ``"auto"``. The study's own setting if ``None``.
        on: Where to train. ``"local"`` is this machine. ``"ray"`` is the running Ray cluster that this machine belongs
            to, ``"ray://host:port"`` another one. See docs/guides/cluster.md.
        artifacts: A URL (as in ``fsspec``) of a folder that all machines of a cluster reach. Checkpoints and weights
            go through it instead of through messages. For a local run: the folder where a cluster left checkpoints to
            resume from.
        progress: Follows the study. ``None``: a live display in notebooks and terminals, and nothing elsewhere.
        callbacks: Objects whose methods are called after each epoch and at the end of each run.
        track: Trackers that log runs while they train: ``"mlflow"``, ``"tensorboard"``, ``"wandb"``. They log to the
            place that their own settings name; TensorBoard's files are in the store. If a tracker fails, one message
            says so and training continues.

    Returns:
        The study's result. Failed runs are part of it; they raise nothing.

    Raises:
        InputError: The study, the data, the store or the cluster cannot be used, or the package of a tracker is not
            installed. Nothing has been trained.
        DiskFull: The disk is full. Finished runs are kept.
        ClusterGone: The cluster no longer answers. Finished epochs are kept.
        Interrupted: You pressed Ctrl-C. Finished epochs are kept.

    Example:
        >>> result = assay.run("first-verdict")
        >>> print(result.compare().sentences[0])
        filters=16 is better than filters=4: accuracy is ... points higher (95 % interval ... to ..., 10 seeds)
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
    """Estimate how many seeds and validation images a study needs to see a given difference.

    The spread between seeds is predicted from what one or two runs of each arm classify correctly. With two or more
    runs it is measured too. Nothing is trained, and no verdict is shown.

    Args:
        study: A study, the path of a study file, the name of a shipped study, or the name of a study in the store.
        difference: The difference to see, in percentage points. The study's margin if ``None``.
        like: A study in the store whose seeds will resemble those of this one. Use it before the study has run.
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Returns:
        The :class:`~assay.analysis.SeedPlan`. Print it to read it.

    Raises:
        NoSuchStudy: The store does not hold ``like``.
        SpecError: The study cannot be used, no run shows how much seeds differ, or the difference is not above 0.

    Source: Jordan (2024), "On the variance of neural network training with respect to test sets and distributions".

    Example:
        >>> seeds = assay.plan("first-verdict", difference=2.0)
        >>> print(seeds.headline)
        To see 2 points in 80 % of studies takes ... seeds an arm...
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
    """Run a learning-rate range test: training steps of one arm with a rate that rises from step to step.

    The test shows where to search for a learning rate. Nothing is stored, and no validation or test image is used.

    Args:
        study: A study, the path of a study file, or the name of a shipped study.
        arm: The arm's name. The first one if ``None``.
        low: The first learning rate, above 0.
        high: The last learning rate, above ``low``. Those between are evenly spread on a logarithmic scale.
        steps: Training steps from ``low`` to ``high``, 20 to 100,000.
        seeds: How many of the study's seeds to test, one test each.
        store: The store with the runs that serve as bases. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Returns:
        The :class:`~assay.runner.rate_range.RateRange`: ``suggested`` is the rate at which the loss falls fastest,
        ``sentence`` the result in words, ``picture`` the losses as a figure.

    Raises:
        SpecError: The study cannot be used, it has no such arm, or the range or the steps are not valid.
        DataError: The data are missing.

    Source: Smith (2017), "Cyclical learning rates for training neural networks".

    Example:
        >>> test = assay.lr_range("first-verdict", arm="filters=16", steps=50)
        >>> print(test.sentence)
        filters=16, adam: the loss falls fastest at learning_rate = ...
    """
    from .runner.rate_range import rate_range
    from .system import num_cores

    if not isinstance(study, Study):
        study = load(study)
    folder = Path(store) if store is not None else default_folder()
    return rate_range(study, folder, arm=arm, low=low, high=high, steps=steps, seeds=seeds, threads=num_cores())


def studies(store: str | Path | None = None) -> list[str]:
    """List the names of the studies in a store, the most recently changed first.

    Args:
        store: The store's folder. Default: ``ASSAY_STORE``, or ``./assay-store``.

    Raises:
        NoStore: The folder holds no store.

    Example:
        >>> assay.studies()
        ['first-verdict']
    """
    with open_reader(Path(store) if store is not None else default_folder()) as reader:
        return reader.study_names()


def overviews(store: str | Path | None = None) -> list[dict[str, Any]]:
    """The state of each study in a store, the most recently changed first: ``StoreReader.overviews``."""
    with open_reader(Path(store) if store is not None else default_folder()) as reader:
        return reader.overviews()


def from_keras(model: Any) -> Imported:
    """Convert a Keras model to Assay's layer words, with its weights if it has any.

    Args:
        model: A Sequential or functional model, or the path of a ``.keras`` or ``.h5`` file. A file is read as
            settings and arrays; no code in it is run.

    Returns:
        The network, the image's shape and the weights.

    Raises:
        SpecError: Layers have no equivalent in Assay (one problem for each), or no block can express the model's
            branches.
        DataError: The file is damaged.

    Example:
        >>> import keras
        >>> model = keras.Sequential([
        ...     keras.layers.Input((28, 28, 1)),
        ...     keras.layers.Conv2D(32, 3, activation="relu"),
        ...     keras.layers.Flatten(),
        ...     keras.layers.Dense(10, activation="softmax"),
        ... ])
        >>> assay.from_keras(model).network.layers
        ('conv 32 3x3 relu', 'flatten', 'dense classes softmax')
    """
    from .convert import from_keras, read_keras

    return read_keras(Path(model)) if isinstance(model, str | Path) else from_keras(model)


def convert(source: str | Path) -> Conversion:
    """Convert the Keras models of a notebook, script, ``.keras`` or ``.h5`` file to a study. No code in it is run.

    In code, Sequential models of literal layers are read. Whatever else the study needs is refused.

    Args:
        source: The file.

    Raises:
        SpecError: The file holds no such model, a layer has no equivalent, or code would have to be run. In the last
            case, use ``assay convert --run`` or ``convert_by_running``.
        DataError: The file cannot be read.
    """
    from .convert.conversion import convert_file

    return convert_file(Path(source))


def convert_by_running(source: str | Path, folder: str | Path, *, seconds: float = 300) -> RunConversion:
    """Run a script or notebook, and convert the Keras models that it makes and trains to studies.

    The code runs in a process of its own without network. There, ``fit`` records its arguments and returns at once.

    Args:
        source: A ``.py`` or ``.ipynb`` file.
        folder: Where to keep images that belong to no known data set, as ``.npz`` files.
        seconds: The time limit for the code.

    Raises:
        DataError: The file cannot be read.
        SpecError: No study resulted. The problems say what is missing and why each model cannot be a study.
    """
    from .capturing import convert_by_running as run_file

    return run_file(Path(source), Path(folder), seconds=seconds)


def capture() -> Capture:
    """Record the Keras models that are compiled and fitted from here on. Your code runs as before.

    Call it at the top of a notebook, train as usual, then call :func:`captured`. Keras 3 (any backend) and ``tf.keras``
    are recorded, whether they are imported before or after. Recording ends with ``stop()``, with the next
    ``capture()``, or at the end of a ``with`` block.

    Returns:
        The recorder. You need it only for ``stop()`` or as a context manager.

    Example:
        >>> import keras
        >>> from sklearn.datasets import load_digits
        >>> images, labels = load_digits(return_X_y=True)
        >>> with assay.capture():
        ...     model = keras.Sequential([
        ...         keras.layers.Input((64,)), keras.layers.Dense(10, activation="softmax")
        ...     ])
        ...     model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        ...     history = model.fit(images[:200] / 16, labels[:200], verbose=0)
        >>> len(assay.captured())
        1
    """
    from .capturing import capture as start

    return start()


def captured() -> list[Captured]:
    """Return the Keras models that were fitted since the last :func:`capture`, each with the study that it makes.

    Each :class:`~assay.capturing.Captured` has a ``study``, its ``notes`` (what could not be taken over unchanged,
    with cell and line), and ``problems`` if it cannot be a study. ``vary`` adds factors, ``run`` trains the study.

    Returns:
        One entry for each model or tuner search. If there is none, a warning gives the reason.

    Example:
        >>> import keras
        >>> from sklearn.datasets import load_digits
        >>> images, labels = load_digits(return_X_y=True)
        >>> capture = assay.capture()
        >>> model = keras.Sequential([
        ...     keras.layers.Input((64,)), keras.layers.Dense(10, activation="softmax")
        ... ])
        >>> model.compile("adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> history = model.fit(images[:200] / 16, labels[:200], verbose=0)
        >>> study = assay.captured()[0].vary(dropout=[0, 0.5]).study  # .run(seeds=10) would train it
        >>> study.network.layers
        ('flatten', 'dropout {dropout}', 'dense classes softmax')
        >>> capture.stop()
    """
    from .capturing import captured as recorded

    return recorded(run)
