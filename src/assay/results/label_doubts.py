"""Every label of a study's data that deserves a second look, with what speaks against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .model import load_models, runs_of_arm
from .recorded import dataset_of

if TYPE_CHECKING:
    import pandas as pd

    from ..data import Dataset, LabelDoubt
    from ..report import Relabelling
    from .result import Result


def label_doubts(result: Result, doubtful: pd.DataFrame | None = None) -> tuple[LabelDoubt, ...]:
    """What the best arm's networks doubt, then what an image's neighbours contradict, then its costliest mistakes.

    An image stands in the list once, with every reason.

    Args:
        result: The study.
        doubtful: Its :meth:`Result.doubtful_labels`, where they are known: otherwise its networks are asked.

    Raises:
        SpecError: No run has finished.
        DataError: A run's weights are missing or damaged, or the data are gone.
    """
    from ..data import look, look_doubts
    from ..data.doubts import merged

    dataset = dataset_of(result.record)
    asked = result.doubtful_labels() if doubtful is None else doubtful
    return merged([*_of_networks(asked, dataset), *look_doubts(dataset, look(dataset)), *costliest(result)])


def doubts_part(store: Path, study: str) -> Relabelling:
    """The same as a page shows it, with a thumbnail each."""
    from ..data import read_corrections
    from ..report import relabelling
    from .result import Result

    result = Result(store, study)
    record = result.record
    table = record.design.data.corrections
    earlier = read_corrections(Path(table)) if table is not None else ()
    return relabelling(dataset_of(record), label_doubts(result), earlier)


def _of_networks(doubtful: pd.DataFrame, dataset: Dataset) -> list[LabelDoubt]:
    from ..data.doubts import doubt

    names = dataset.names_of("train")
    return [
        doubt(
            dataset, names, int(row["index"]), str(row["label"]), str(row["predicted"]),
            f"{row['wrong']} of {row['runs']} networks see another class, {row['held_out']} never trained on it",
        )
        for row in doubtful.to_dict("records")
    ]  # fmt: skip


def costliest(result: Result) -> list[LabelDoubt]:
    """Every mistake of the best arm's first run on its validation images, the highest loss first."""
    from ..data.doubts import doubt
    from ..explain.mistakes import losses_of
    from .explanations.subject import subject_of

    record = result.record
    if record.is_leaky:  # its validation images are the test images, which are not shown
        return []
    try:
        (model,) = load_models(record, runs_of_arm(record, None)[:1], result.store)
        subject = subject_of(model, "validation")
    except InputError:
        return []
    names, losses = model.dataset.names_of("train"), losses_of(subject.probabilities, subject.labels)
    wrong = np.flatnonzero(subject.predicted != subject.labels)
    order = wrong[np.argsort(-losses[wrong], kind="stable")]
    run, sure = model.run.label, subject.probabilities.max(1)
    return [
        doubt(
            model.dataset, names, int(subject.places[at]), subject.classes[subject.labels[at]],
            subject.classes[subject.predicted[at]],
            f"{run} is {100 * float(sure[at]):.0f} % sure of another class (loss {float(losses[at]):.1f})",
        )
        for at in order
    ]  # fmt: skip
