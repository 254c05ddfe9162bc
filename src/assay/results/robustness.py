"""Runs asked about corrupted images: sealed views of validation images, or of test images once these are revealed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from ..data.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    VERSION,
    Corruption,
    Ground,
    bearable,
    corrupted,
    ground_of,
)  # fmt: skip
from ..errors import DataError, InputError, Problem, SpecError
from ..measures import ACCURACY, Measure, Predictions
from ..store import RunRecord, StudyRecord, open_writer
from ..store.corrupted_hits import (
    CorruptedHits,
    CorruptedLook,
    CorruptedScores,
    is_kept_here,
    keep_hits,
    keep_look,
    read_hits,
    read_looks,
)  # fmt: skip
from .model import load_models
from .recorded import dataset_of, split_of_run

if TYPE_CHECKING:
    from ..analysis import Robustness
    from ..data import Dataset
    from ..prediction import Ensemble
    from ..report import Illustration

IMAGES = 1000  # of each run: a margin of about 1.5 points for one severity, and seconds for an arm
Split = Literal["validation", "test"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class _Panel:
    """The images that the runs of a seed (and fold) are asked about."""

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.int64]
    places: NDArray[np.int64]
    groups: NDArray[np.int64] | None = None


def robustness(
    record: StudyRecord,
    store: Path,
    *,
    split: Split = "validation",
    images: int = IMAGES,
    seed: int = 0,
    on_progress: Progress = lambda num_done, num_runs: None,
) -> Robustness:
    """Ask a study's finished runs about corrupted images, as far as that is not kept from before, and judge.

    Each run is asked about as many of its own validation images, evenly spread; runs of a seed about the same ones,
    with the same draws. What it gets right is kept in the store's folder (``robustness/``), and so is each look at the
    verdicts; where the store cannot be written, nothing is kept.

    Args:
        record: The study.
        store: The store's folder.
        split: ``validation``, or ``test`` where every finished run has its test score: one more look, which is counted.
        images: Images for each run, at most.
        seed: Of the draws.
        on_progress: Called after each run with how many have answered, and of how many.

    Raises:
        SpecError: No run has finished, none has its weights, the test split is sealed, or the images can bear no
            corruption.
        DataError: The data are gone, or have changed, or the images cannot have the study's measure.
        DiskFull: There is no space left.
    """
    from ..analysis import robustness_of, seeds_compared
    from ..analysis.measured import measure_of

    measure = measure_of(record)
    finished = [run for run in record.runs if run.state == "finished"]
    if not finished:
        raise SpecError(Problem(f'study "{record.name}" has no finished run', "run it first"))
    if images < 1:
        raise SpecError(Problem(f"got {images} images", "give 1 or more"))
    if split == "test":
        refuse_sealed(record)
    dataset = dataset_of(record)
    training = dataset.training()
    ground = ground_of(training.images)
    corruptions, notes = bearable(CORRUPTIONS, dataset.info.shape, ground)
    panels: dict[tuple[int, int | None], _Panel] = {}
    hits: dict[str, CorruptedHits] = {}
    missing: dict[tuple[int, int | None], list[RunRecord]] = {}
    for run in finished:
        key = (run.seed, run.fold)
        if key not in panels:
            panels[key] = _panel(record, run, dataset, split, images)
        known = read_hits(store, split, run.id)
        asked_before = (run.weights_sha256 or "", (VERSION, seed), panels[key].places, measure.name)
        if known is not None and known.is_of(*asked_before):
            hits[run.id] = known
        else:
            missing.setdefault(key, []).append(run)
    if split == "test" and missing:
        with open_writer(store) as writer:  # the look is stored before anything of it is shown
            writer.put_look(
                record.name, {}, num_runs=len(finished), test_images=dataset.test().images_sha256()
            )  # fmt: skip
    num_done, faults = len(hits), []
    is_kept = is_kept_here(store)
    for key, runs in missing.items():
        networks: dict[str, Ensemble] = {}
        for run in runs:
            try:
                networks[run.id] = _network(record, run, store)
            except DataError as error:
                faults.append(error)
        asked = _ask(networks, {run.id: run for run in runs}, panels[key], corruptions, ground, seed, measure)
        for one in asked:
            hits[one.run] = one
            if is_kept:
                keep_hits(store, split, one)
            num_done += 1
            on_progress(num_done, len(finished))
    if not hits:
        raise SpecError(
            [
                Problem(
                    f'no run of "{record.name}" has its weights: {faults[0].problems[0].what}',
                    "corruptions are judged by the networks themselves: put the files back from a backup "
                    "(`assay doctor STORE` says what can be mended), or run the study again",
                )
            ]
        )
    looks = read_looks(store, _key(record.name, split))
    look = CorruptedLook(record.design.seeds.planned, seeds_compared(record, hits), images, seed)
    first = looks[0] if looks else look
    if (first.images, first.draws) != (images, seed):
        other = f"Verdicts were looked at first with {first.images:,} images and draws of seed {first.draws}"
        notes = (*notes, f"{other}: the error budget is that look's, so do not pick the ones that read better")
    groups = {one.name: one.group for one in corruptions}
    result = robustness_of(record, hits, groups, looks, split=split, left_out=notes)
    if result.verdicts and look not in looks and is_kept:
        keep_look(store, _key(record.name, split), look)
    return result


def kept_robustness(record: StudyRecord, store: Path) -> Robustness | None:
    """What is kept of a study's runs on corrupted validation images, without asking any; ``None`` where that is not
    of all finished runs, or of runs that differ in what they were asked."""
    from ..analysis import robustness_of
    from ..analysis.measured import measure_of

    metric = measure_of(record).name
    finished = [run for run in record.runs if run.state == "finished"]
    known = {run.id: read_hits(store, "validation", run.id) for run in finished}
    hits = {
        run.id: one
        for run in finished
        if (one := known[run.id]) is not None
        and one.weights_sha256 == run.weights_sha256
        and one.suite[0] == VERSION
        and one.metric == metric
    }
    alike = {(one.corruptions, one.suite) for one in hits.values()}
    if not hits or len(hits) < len(finished) or len(alike) > 1:
        return None
    names = next(iter(alike))[0]
    groups = {one.name: one.group for one in CORRUPTIONS if one.name in names}
    looks = read_looks(store, _key(record.name, "validation"))
    left = ", ".join(one.name for one in CORRUPTIONS if one.name not in names)
    left_out = [f"Left out, since these images cannot bear it: {left}"] if left else []
    return robustness_of(record, hits, groups, looks, left_out=left_out)


def examples(record: StudyRecord, *, count: int = 1, seed: int = 0) -> dict[str, NDArray[np.uint8]]:
    """Some training images as they are and in each severity, by corruption: uint8 [count, 1 + severities, height,
    width, channels].

    Raises:
        DataError: The data are gone, or have changed.
        SpecError: The images can bear no corruption.
    """
    training = dataset_of(record).training()
    ground = ground_of(training.images)
    corruptions, _ = bearable(CORRUPTIONS, training.images.shape[1:], ground)
    chosen = training.images[np.linspace(0, len(training) - 1, count).astype(np.int64)]
    sheets: dict[str, NDArray[np.uint8]] = {}
    for one in corruptions:
        views = [chosen, *(corrupted(chosen, one, severity, ground, seed=seed) for severity in SEVERITIES)]
        values = np.stack(views, axis=1)
        is_bytes = values.dtype == np.uint8
        sheets[one.name] = np.asarray(values if is_bytes else np.rint(values * 255), np.uint8)
    return sheets


def corruption_picture(record: StudyRecord) -> Illustration | None:
    """An image of the data under every corruption, for a report; ``None`` where the data are gone."""
    from ..explain.figures import corruption_sheet
    from ..explain.figures.style import DOTS_PER_INCH
    from ..explain.picture import Picture
    from ..report import Illustration

    try:
        views = {name: sheet[0] for name, sheet in examples(record).items()}
    except InputError:
        return None
    caption = "A training image as it is, then in severities 1 to 5 of each corruption."
    picture = Picture("corruptions", "Corruptions", caption, lambda theme: corruption_sheet(views, theme=theme))
    return Illustration(picture.title, caption, picture.encoded(), picture.encoded(theme="dark"), DOTS_PER_INCH / 96)


def _key(study: str, split: Split) -> str:
    return study if split == "validation" else f"{study}/test"


def refuse_sealed(record: StudyRecord) -> None:
    """Raise SpecError unless every finished run has its score on the test split."""
    if any(run.test_accuracy is None for run in record.runs if run.state == "finished"):
        what = f'the test split of "{record.name}" is sealed'
        raise SpecError(Problem(what, "corrupt validation images (the default), or open it first with `assay reveal`"))


def _panel(record: StudyRecord, run: RunRecord, dataset: Dataset, split: Split, most: int) -> _Panel:
    if split == "test":
        test = dataset.test()
        places = _spread(np.arange(len(test.labels)), most)  # a test split has no groups
        return _Panel(test.images[places], np.asarray(test.labels[places]), places)
    training = dataset.training()
    validation = split_of_run(record, run, training).validation
    if not len(validation):
        raise SpecError(Problem(f'"{record.name}" has no validation images', "give [data] validation a share of them"))
    places = _spread(np.sort(validation), most)
    groups = None if training.groups is None else np.asarray(training.groups[places], np.int64)
    return _Panel(training.images[places], np.asarray(training.labels[places]), places, groups)


def _spread(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """As many at most, evenly spread: data may be sorted by class."""
    if len(places) <= most:
        return places
    return np.asarray(places[np.linspace(0, len(places) - 1, most).astype(np.int64)])


def _network(record: StudyRecord, run: RunRecord, store: Path) -> Ensemble:
    from ..prediction import Ensemble

    if run.weights_path is None:
        raise DataError(Problem(f"run {run.id[:10]} has no weights", "run the study again"))
    (model,) = load_models(record, [run], store)
    return Ensemble([model.predictor], model.classes, model.shape)


def _ask(
    networks: dict[str, Ensemble],
    runs: dict[str, RunRecord],
    panel: _Panel,
    corruptions: Sequence[Corruption],
    ground: Ground,
    seed: int,
    measure: Measure,
) -> Iterable[CorruptedHits]:
    """Ask networks about the same views, each of which is made once.

    Raises:
        DataError: These images cannot have the measure.
    """
    if not networks:
        return []
    is_measured = measure.name != ACCURACY.name
    shape = (len(corruptions), len(SEVERITIES), len(panel.labels))
    hits = {run: np.zeros(shape, bool) for run in networks}
    values = {run: np.zeros(shape[:2]) for run in networks}
    influence = {run: np.zeros((shape[0], shape[2]), np.float32) for run in networks}
    clean, clean_values = {}, {}
    for run, network in networks.items():
        said = _predictions(network, panel.images, panel)
        clean[run] = said.is_hit
        clean_values[run] = measure.value(said) if is_measured else 0.0
    for place, corruption in enumerate(corruptions):
        for number, severity in enumerate(SEVERITIES):
            views = corrupted(panel.images, corruption, severity, ground, seed=seed)
            for run, network in networks.items():
                said = _predictions(network, views, panel)
                hits[run][place, number] = said.is_hit
                if is_measured:
                    values[run][place, number] = measure.value(said)
                    influence[run][place] += (measure.influence(said) / len(SEVERITIES)).astype(np.float32)
    names = tuple(corruption.name for corruption in corruptions)
    return [
        CorruptedHits(
            run, runs[run].weights_sha256 or "", (VERSION, seed), panel.places, clean[run], names, hits[run],
            CorruptedScores(measure.name, clean_values[run], values[run], influence[run]) if is_measured else None,
        )
        for run in networks
    ]  # fmt: skip


def _predictions(network: Ensemble, images: NDArray[np.uint8] | NDArray[np.float32], panel: _Panel) -> Predictions:
    probabilities = network.probabilities(images, are_many=network.is_fused)
    return Predictions.of_probabilities(probabilities, panel.labels, tuple(network.classes), panel.groups)
