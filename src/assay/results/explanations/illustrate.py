"""The most informative pictures of a study's best arm, for its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...explain.choose import convolutions
from ...explain.figures.style import DOTS_PER_INCH
from ...explain.picture import Picture
from ...extras import has
from ...report import Illustration
from ...store import StudyRecord
from ..model import load_models, runs_of_arm
from . import failures, learned
from .request import Maker, PictureRequest
from .subject import Subject, subject_of

_REPORTED: tuple[Maker, ...] = (failures.confusion, failures.losses, failures.trust, learned.kernels)
_FLOPS = 2e12  # seconds of a laptop: a report is written after every study
_FEWEST = 200
DENSITY = DOTS_PER_INCH / 96  # a page has 96 pixels an inch


def illustrations(record: StudyRecord, store: Path) -> tuple[Illustration, ...]:
    """What the first seed of the best arm mixes up, its costliest images, its calibration and its first kernels.

    What cannot be drawn is left out: without a finished run, its weights and the data there is nothing to explain. The
    report says where matplotlib is missing.

    Args:
        record: The study.
        store: The store's folder.
    """
    if not has("matplotlib"):
        return ()
    try:
        pictures = report_pictures(record, store)
    except InputError:
        return ()
    return tuple(
        Illustration(
            picture.title, picture.caption, picture.encoded(), picture.encoded(theme="dark"), DENSITY,
            picture.narrow(), picture.narrow("dark"),
        )
        for picture in pictures
    )  # fmt: skip


def report_pictures(record: StudyRecord, store: Path) -> tuple[Picture, ...]:
    """The same as pictures that can be drawn in any size; the first says whose they are.

    Raises:
        InputError: There is no finished run, or its weights or the data are gone.
    """
    (model,) = load_models(record, runs_of_arm(record, None)[:1], store)
    subject = _part(subject_of(model, "validation"))
    first = convolutions(model.summary)[:1]
    pictures: list[Picture] = []
    for make in _REPORTED:
        try:
            pictures += make(subject, PictureRequest(layer=first[0] if first else None))
        except InputError:
            continue
    whose = f" All pictures are of {model.run.label}, the arm's first."
    return tuple(
        replace(picture, caption=picture.caption + whose) if index == 0 else picture
        for index, picture in enumerate(pictures)
    )


def _part(subject: Subject) -> Subject:
    """As many images as take seconds, evenly from all, as data may be sorted by class."""
    most = max(_FEWEST, int(_FLOPS / max(subject.model.summary.flops, 1)))
    if len(subject.labels) <= most:
        return subject
    chosen = np.linspace(0, len(subject.labels) - 1, most).astype(np.int64)
    return replace(subject, images=subject.images[chosen], labels=subject.labels[chosen], places=subject.places[chosen])
