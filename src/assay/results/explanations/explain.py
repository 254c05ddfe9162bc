"""Draws the requested pictures of one finished run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError, Problem, SpecError
from ...explain.choose import convolutions, feature_maps
from ...explain.mistakes import class_scores, confusion_matrix, losses_of
from ...extras import needed
from ..model import Model
from . import failures, learned
from .explanation import Explanation
from .request import Maker, PictureRequest
from .subject import Subject, image_of, subject_of

MAKERS: dict[str, Maker] = {
    "confusion": failures.confusion,
    "classes": failures.classes,
    "pairs": failures.pairs,
    "losses": failures.losses,
    "calibration": failures.trust,
    "confidence": failures.confidence,
    "agreement": failures.seeds,
    "features": failures.features,
    "kernels": learned.kernels,
    "activations": learned.activations,
    "strongest": learned.strongest,
    "maximized": learned.maximized,
    "gradcam": learned.gradcam,
    "gradients": learned.gradients,
    "occlusion": learned.covered,
    "sanity": learned.sanity,
}


def explain(model: Model, request: PictureRequest | None = None) -> Explanation:
    """Draws the requested pictures of one finished run.

    Args:
        model: The run's model.
        request: Which pictures, of what; all that can be drawn if ``None``.

    Raises:
        SpecError: A name is no picture or layer, an image is not there, the test split is sealed, or a picture that was
            requested by name cannot be drawn.
        DataError: The data are gone or have changed, or the image does not fit.
        NotInstalled: matplotlib is not there.
    """
    needed("matplotlib", "Pictures")
    request = request or PictureRequest()
    names = request.names(list(MAKERS))
    _check_layer(model, request.layer)
    subject = subject_of(model, request.split)
    if request.image is not None:
        image_of(subject, request.image)
    pictures, left_out = [], {}
    for name in names:
        try:
            pictures += MAKERS[name](subject, request)
        except InputError as error:
            if request.only is not None:
                raise
            left_out[name] = " ".join(str(error).split())
    return Explanation(_about(subject), tuple(pictures), left_out, _mistakes(subject), _classes(subject))


def _check_layer(model: Model, layer: str | None) -> None:
    known = dict.fromkeys([*convolutions(model.summary), *feature_maps(model.summary)])
    if layer is not None and layer not in known:
        has = any(row.name == layer for row in model.summary.layers)
        what = f'layer "{layer}" has no kernels or maps to draw' if has else f'the network has no layer "{layer}"'
        kernels = ", ".join(convolutions(model.summary)) or "none"
        maps = ", ".join(feature_maps(model.summary)) or "none"
        raise SpecError(Problem(what, f"layers with kernels: {kernels}; with maps: {maps}", "layer"))


def _about(subject: Subject) -> dict[str, Any]:
    model = subject.model
    return {
        "study": model.study.name,
        "run": model.run.id,
        "arm": model.run.arm,
        "label": model.run.label,
        "seed": model.run.seed,
        "fold": model.run.fold,
        "split": subject.split,
        "leaky": model.study.is_leaky,
        "images": len(subject.labels),
        "accuracy": subject.accuracy,
        **({"members": model.summary.members} if model.summary.members > 1 else {}),
    }


def _mistakes(subject: Subject) -> Any:
    import pandas as pd

    losses = losses_of(subject.probabilities, subject.labels)
    wrong = np.flatnonzero(subject.predicted != subject.labels)
    order = wrong[np.argsort(-losses[wrong], kind="stable")]
    names = np.array(subject.classes, dtype=object)
    files = subject.files
    return pd.DataFrame(
        {
            "image": subject.places[order],
            **({} if files is None else {"file": [files[place] for place in subject.places[order]]}),
            "class": names[subject.labels[order]],
            "predicted": names[subject.predicted[order]],
            "confidence": subject.probabilities.max(1)[order],
            "loss": losses[order],
        }
    )


def _classes(subject: Subject) -> Any:
    import pandas as pd

    scores = class_scores(confusion_matrix(subject.labels, subject.predicted, len(subject.classes)))
    columns = {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1, "images": scores.support}
    return pd.DataFrame({"class": subject.classes, **columns})
