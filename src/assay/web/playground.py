"""The playground's questions: what do all seeds' networks say of this drawing, this picture, this validation image?"""

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
from .limits import MAX_PICTURE_BYTES, Refused, body_of
from .panels import Panel
from .parts import parts_of
from .pictures import KINDS, drawing, picture

_NUM_PICKS = 48
_NUM_EXPLAINED = 4


async def about(request: Request) -> Response:
    """What can be asked: the arms with finished runs, and one arm's networks, classes and way of being asked."""
    record = await _record(request)
    counts: dict[str, int] = {}
    for run in record.runs:
        counts[run.arm] = counts.get(run.arm, 0) + (run.state == "finished")
    arms = [{"name": arm.name, "n": counts[arm.name]} for arm in record.arms if counts.get(arm.name)]
    if not arms:
        return JSONResponse({"arms": []})
    best = best_arm(record)
    arm = request.query_params.get("arm") or best
    found, _ = await parts_of(request).panels.ask(record, arm, _about)
    return JSONResponse({"arms": arms, "best": best, **found})


def _about(panel: Panel) -> dict[str, Any]:
    height, width, channels = panel.shape
    if panel.training is not None:  # the first question should not wait for what the first use of a network costs
        panel.votes(panel.training.images[:1])
    return {
        "arm": panel.arm,
        "classes": panel.classes,
        "shape": [height, width, channels],
        "networks": [model.run.label for model in panel.models],
        "runs": panel.num_all,
        "framing": panel.framing.sentence if panel.framing else "",
        "parameters": panel.models[0].summary.parameters,
        "data": str(panel.record.data.get("title") or panel.record.data["name"]),
        "leaky": panel.record.is_leaky,
    }


async def calibration(request: Request) -> Response:
    """Fit one temperature for an arm's networks, so that their confidence means what it says; network by network, so
    that other questions are answered in between."""
    record, arm = await _record(request), request.query_params.get("arm")
    panels = parts_of(request).panels
    try:
        while (await panels.ask(record, arm, Panel.calibrate_some))[0]:
            pass
    except SpecError as error:
        return JSONResponse({"temperature": None, "why": error.problems[0].what})
    (found, shared), _ = await panels.ask(record, arm, lambda panel: (panel.calibration, panel.shared))
    if found is None:
        return JSONResponse({"temperature": None, "why": "the networks were trained anew meanwhile"})
    told = {"temperature": found.temperature, "images": found.num_images, "shared": shared, "error": found.error}
    return JSONResponse(told)


async def image(request: Request) -> Response:
    """A drawing (``kind=drawing``: white ink on black) or any other picture, and what the networks say of it."""
    kind = request.query_params.get("kind", "picture")
    if kind not in ("drawing", "picture"):
        raise Refused(400, "kind must be drawing or picture")
    record = await _record(request)
    content = await body_of(request, MAX_PICTURE_BYTES, KINDS)

    def asked(panel: Panel) -> dict[str, Any]:
        if kind == "drawing":
            if panel.framing is None:
                raise Refused(422, "these networks were not trained on drawings; send a picture")
            given: NDArray[Any] = drawing(content, panel.framing, panel.shape)
        else:
            given = picture(content, panel.framing, panel.shape, panel.dtype)
        return answer(panel, given)

    return await _answered(request, record, asked)


async def picks(request: Request) -> Response:
    """Validation images to choose from; ``mistakes=1``: those that are taken for another class."""
    record = await _record(request)
    only_mistakes = request.query_params.get("mistakes") == "1"

    def asked(panel: Panel) -> dict[str, Any]:
        known = panel.picks
        wrong = [pick for pick in known if pick.predicted != pick.label]
        chosen = (wrong if only_mistakes else known)[:_NUM_PICKS]
        assert panel.training is not None
        images = panel.training.images
        return {
            "looked": len(known),
            "mistakes": len(wrong),
            "picks": [
                {
                    "index": pick.index,
                    "label": panel.classes[pick.label],
                    "predicted": panel.classes[pick.predicted],
                    "networks": pick.held_out,
                    "png": base64.b64encode(png(_bytes(images[pick.index]))).decode(),
                }
                for pick in chosen
            ],
        }

    found, _ = await parts_of(request).panels.ask(record, request.query_params.get("arm"), asked)
    return JSONResponse(found)


async def pick(request: Request) -> Response:
    """One of the validation images, and what the networks say of it that never trained on it."""
    record = await _record(request)
    index = int(request.path_params["index"])

    def asked(panel: Panel) -> dict[str, Any]:
        held_out = panel.held_out
        assert panel.training is not None
        if index >= held_out.shape[1] or not held_out[:, index].any():
            raise Refused(404, "this is no validation image of these networks")
        label = panel.classes[int(panel.training.labels[index])]
        return {**answer(panel, panel.training.images[index], held_out[:, index]), "label": label}

    return await _answered(request, record, asked)


async def _record(request: Request) -> StudyRecord:
    return (await parts_of(request).watch.study(request.path_params["name"])).record


async def _answered(request: Request, record: StudyRecord, asked: Any) -> Response:
    found, seconds = await parts_of(request).panels.ask(record, request.query_params.get("arm"), asked)
    return JSONResponse({**found, "milliseconds": round(1000 * seconds, 1)})


def answer(panel: Panel, given: NDArray[Any], asked: NDArray[np.bool_] | None = None) -> dict[str, Any]:
    """What a panel says of one image, and what it sees.

    Args:
        panel: The networks.
        given: [height, width, channels].
        asked: Which of the networks are asked; all if ``None``.
    """
    from ..prediction import sharpened

    chosen = np.flatnonzero(asked) if asked is not None else np.arange(len(panel.models))
    votes = np.stack([panel.models[place].probabilities(given[None])[0] for place in chosen])
    mean = votes.mean(0)
    explained = chosen[:_NUM_EXPLAINED].tolist()
    cam = panel.evidence(given, int(mean.argmax()), explained) if given.any() else None
    known = panel.calibration
    calibrated = None if known is None else float(sharpened(mean[None], known.temperature).max())
    return {
        "confidence": None if calibrated is None else round(calibrated, 5),
        "probabilities": [round(float(value), 5) for value in mean],
        "votes": [[round(float(value), 4) for value in vote] for vote in votes],
        "networks": [int(place) for place in chosen],
        "seen": base64.b64encode(_bytes(given).tobytes()).decode(),
        "shape": list(panel.shape),
        "is_blank": not given.any(),
        "cam": "" if cam is None else base64.b64encode(np.rint(cam * 255).astype(np.uint8).tobytes()).decode(),
        "cam_networks": len(explained),
    }


def _bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    values = np.rint(image * 255).astype(np.uint8) if image.dtype == np.float32 else image
    return np.ascontiguousarray(values)
