"""The most informative pictures of a study's best arm, for its report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import InputError
from ...explain.choose import convolutions
from ...explain.figures.style import DOTS_PER_INCH
from ...extras import has
from ...report import Illustration
from ...store import StudyRecord
from ..model import load_models, runs_of_arm
from . import failures, learned
from .request import Maker, PictureRequest
from .subject import Subject, subject_of

_TOLD: tuple[Maker, ...] = (failures.confusion, failures.losses, failures.trust, learned.kernels)
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
        (model,) = load_models(record, runs_of_arm(record, None)[:1], store)
        subject = _part(subject_of(model, "validation"))
    except InputError:
        return ()
    first = convolutions(model.summary)[:1]
    pictures = []
    for make in _TOLD:
        try:
            pictures += make(subject, PictureRequest(layer=first[0] if first else None))
        except InputError:
            continue
    captions = [picture.caption for picture in pictures]
    captions[:1] = [f"{caption} All pictures are of {model.run.label}, the arm's first." for caption in captions[:1]]
    return tuple(
        Illustration(picture.title, caption, picture.encoded(), picture.encoded(theme="dark"), DENSITY)
        for picture, caption in zip(pictures, captions, strict=True)
    )


def _part(subject: Subject) -> Subject:
    """As many images as take seconds, evenly from all, as data may be sorted by class."""
    most = max(_FEWEST, int(_FLOPS / max(subject.model.summary.flops, 1)))
    if len(subject.labels) <= most:
        return subject
    chosen = np.linspace(0, len(subject.labels) - 1, most).astype(np.int64)
    return replace(subject, images=subject.images[chosen], labels=subject.labels[chosen], places=subject.places[chosen])
