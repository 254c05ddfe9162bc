"""A run and wishes in, pictures out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError, Problem, SpecError
from ...explain.choose import convolutions, feature_maps
from ...explain.mistakes import class_scores, confusion_matrix, losses_of
from ...explain.projection import Projection
from ..model import Model
from . import failures, learned
from .explanation import Explanation
from .subject import Split, Subject, image_of, subject_of
from .wishes import Maker, Wishes, chosen_of

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


def explain(
    model: Model,
    *,
    only: str | Sequence[str] | None = None,
    layer: str | None = None,
    image: int | str | Path | NDArray[Any] | None = None,
    split: Split = "validation",
    projection: Projection = "pca",
) -> Explanation:
    """Pictures of what a run learned and where it fails.

    Args:
        model: The run's model.
        only: Names of pictures, the keys of ``MAKERS``, also as one text with commas; all that can be made if ``None``.
        layer: The layer of kernels and maps.
        image: The image of activations and evidence: its place in the training data (in the test data with ``split =
            "test"``), an image file, or an array as stored [height, width, channels].
        split: The images that failures are explained on; ``"test"`` once the run has been scored on it.
        projection: ``"pca"`` or ``"tsne"``, for the map of features.

    Raises:
        SpecError: A name is no picture or layer, an image is not there, the test split is sealed, or a picture that was
            asked for by name cannot be made.
        DataError: The data are gone or have changed, or the image does not fit.
    """
    names = chosen_of(list(only) if only is not None and not isinstance(only, str) else only, list(MAKERS))
    wishes = Wishes(layer, image, projection)
    _check_layer(model, layer)
    subject = subject_of(model, split)
    if image is not None:
        image_of(subject, image)
    pictures, left_out = [], {}
    for name in names:
        try:
            pictures += MAKERS[name](subject, wishes)
        except InputError as error:
            if only is not None:
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
    }


def _mistakes(subject: Subject) -> Any:
    import pandas as pd

    losses = losses_of(subject.probabilities, subject.labels)
    wrong = np.flatnonzero(subject.predicted != subject.labels)
    order = wrong[np.argsort(-losses[wrong], kind="stable")]
    names = np.array(subject.classes, dtype=object)
    return pd.DataFrame(
        {
            "image": subject.places[order],
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
