"""The playground's endpoints: predictions of all seeds' networks for a drawing, a picture or a validation image."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..analysis import best_arm
from ..data import png
from ..errors import SpecError
from ..store import StudyRecord
from .limits import MAX_PICTURE_BYTES, PICTURE_KINDS, Refused, body_of
from .panels import REFUSED, Panel
from .parts import parts_of

_NUM_PICKS = 48
_NUM_EXPLAINED = 4


async def about(request: Request) -> Response:
    """The arms with finished runs, and one arm's networks, classes and input shape."""
    record = await _record(request)
    counts: dict[str, int] = {}
    for run in record.runs:
        counts[run.arm] = counts.get(run.arm, 0) + (run.state == "finished")
    arms = [{"name": arm.name, "n": counts[arm.name]} for arm in record.arms if counts.get(arm.name)]
    if not arms:
        return JSONResponse({"arms": []})
    best = best_arm(record)
    arm = request.query_params.get("arm") or best
    values, _ = await parts_of(request).panels.ask(record, arm, _description)
    return JSONResponse({"arms": arms, "best": best, **values})


def _description(panel: Panel) -> dict[str, Any]:
    height, width, channels = panel.shape
    if panel.training is not None:  # warm up, so that the first prediction does not wait
        panel.votes(panel.training.images[:1])
    return {
        "arm": panel.arm,
        "classes": panel.classes,
        "shape": [height, width, channels],
        "networks": [model.run.label for model in panel.models],
        "runs": panel.num_all,
        "framing": panel.framing.sentence if panel.framing else "",
        "reading": panel.reader.description,
        "parameters": panel.models[0].summary.parameters,
        "data": str(panel.record.data.get("title") or panel.record.data["name"]),
        "leaky": panel.record.is_leaky,
    }


async def calibration(request: Request) -> Response:
    """Fit one temperature for an arm's networks, so that their confidence means what it says, and rules for sets of
    classes and for refusal; network by network, so that other questions are answered in between."""
    record, arm = await _record(request), request.query_params.get("arm")
    panels = parts_of(request).panels
    try:
        while (await panels.ask(record, arm, Panel.calibrate_some))[0]:
            pass
    except SpecError as error:
        return JSONResponse({"temperature": None, "why": error.problems[0].what})
    (fitted, shared), _ = await panels.ask(record, arm, lambda panel: (panel.calibration, panel.shared))
    if fitted is None:
        return JSONResponse({"temperature": None, "why": "the networks were trained anew meanwhile"})
    (sets, refusals), _ = await panels.ask(record, arm, lambda panel: (dict(panel.sets), len(panel.refusals)))
    values = {
        "temperature": fitted.temperature,
        "images": fitted.num_images,
        "shared": shared,
        "error": fitted.error,
        "coverages": list(sets),
        "refused": REFUSED if refusals else None,
    }
    return JSONResponse(values)


async def image(request: Request) -> Response:
    """A picture and what the networks say of it: read as training's were (``kind=picture``), a drawing of white ink on
    black (``kind=drawing``), or one character framed as the data set's own are (``kind=character``)."""
    kind = request.query_params.get("kind", "picture")
    if kind not in ("drawing", "picture", "character"):
        raise Refused(400, "kind must be drawing, picture or character")
    record = await _record(request)
    content = await body_of(request, MAX_PICTURE_BYTES, PICTURE_KINDS)

    def predict(panel: Panel) -> dict[str, Any]:
        pixels = panel.image_of(content, is_drawing=kind == "drawing", is_framed=kind == "character")
        return answer(panel, pixels)

    return await _answered(request, record, predict)


async def picks(request: Request) -> Response:
    """Validation images to choose from; ``mistakes=1``: the misclassified ones."""
    record = await _record(request)
    only_mistakes = request.query_params.get("mistakes") == "1"

    def choose(panel: Panel) -> dict[str, Any]:
        candidates = panel.picks
        wrong = [pick for pick in candidates if pick.predicted != pick.label]
        chosen = (wrong if only_mistakes else candidates)[:_NUM_PICKS]
        assert panel.training is not None
        images = panel.training.images
        return {
            "looked": len(candidates),
            "mistakes": len(wrong),
            "picks": [
                {
                    "index": pick.index,
                    "label": panel.classes[pick.label],
                    "predicted": panel.classes[pick.predicted],
                    "networks": pick.held_out,
                    "png": base64.b64encode(png(stored_bytes(images[pick.index]))).decode(),
                }
                for pick in chosen
            ],
        }

    values, _ = await parts_of(request).panels.ask(record, request.query_params.get("arm"), choose)
    return JSONResponse(values)


async def pick(request: Request) -> Response:
    """One validation image, and the predictions of the networks that never trained on it."""
    record = await _record(request)
    index = int(request.path_params["index"])

    def predict(panel: Panel) -> dict[str, Any]:
        held_out = panel.held_out
        assert panel.training is not None
        if index >= held_out.shape[1] or not held_out[:, index].any():
            raise Refused(404, "this is no validation image of these networks")
        label = panel.classes[int(panel.training.labels[index])]
        return {**answer(panel, panel.training.images[index], held_out[:, index]), "label": label}

    return await _answered(request, record, predict)


async def _record(request: Request) -> StudyRecord:
    return (await parts_of(request).watch.study(request.path_params["name"])).record


async def _answered(request: Request, record: StudyRecord, question: Any) -> Response:
    values, seconds = await parts_of(request).panels.ask(record, request.query_params.get("arm"), question)
    return JSONResponse({**values, "milliseconds": round(1000 * seconds, 1)})


def answer(panel: Panel, image: NDArray[Any], mask: NDArray[np.bool_] | None = None) -> dict[str, Any]:
    """A panel's prediction for one image, and the input as the networks see it.

    Args:
        panel: The networks.
        image: [height, width, channels].
        mask: Which of the networks predict; all if ``None``.
    """
    from ..prediction import sharpened
    from ..prediction.conformal import draws_of

    chosen = np.flatnonzero(mask) if mask is not None else np.arange(len(panel.models))
    votes = np.stack([panel.models[index].probabilities(image[None])[0] for index in chosen])
    mean = votes.mean(0)
    explained = chosen[:_NUM_EXPLAINED].tolist()
    cam = panel.evidence(image, int(mean.argmax()), explained) if image.any() else None
    fitted = panel.calibration
    calibrated = None if fitted is None else float(sharpened(mean[None], fitted.temperature).max())
    draws, unlike = draws_of(image[None]), panel.unlike(image)
    sets = {
        f"{coverage:g}": np.flatnonzero(rule.sets(mean[None], draws)[0]).tolist()
        for coverage, rule in panel.sets.items()
    }
    return {
        "sets": sets,
        "unlike": None if unlike is None else round(unlike, 4),
        "confidence": None if calibrated is None else round(calibrated, 5),
        "probabilities": [round(float(value), 5) for value in mean],
        "votes": [[round(float(value), 4) for value in vote] for vote in votes],
        "networks": [int(index) for index in chosen],
        "seen": base64.b64encode(stored_bytes(image).tobytes()).decode(),
        "shape": list(panel.shape),
        "is_blank": not image.any(),
        "cam": "" if cam is None else base64.b64encode(np.rint(cam * 255).astype(np.uint8).tobytes()).decode(),
        "cam_networks": len(explained),
    }


def stored_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image as bytes, 0 to 255."""
    values = np.rint(image * 255).astype(np.uint8) if image.dtype == np.float32 else image
    return np.ascontiguousarray(values)
