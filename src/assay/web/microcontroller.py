"""The endpoints of the page for microcontrollers: what each arm costs as C, what it answers, and its files."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..nets.fixed_point import CORES, Costs, coding_of
from ..prediction.ensemble import softmax
from ..results.microcontroller import bundle_of, candidates_of, costs_of_program
from ..results.model import runs_of_arm
from ..store import StudyRecord
from . import studies
from .limits import MAX_PICTURE_BYTES, PICTURE_KINDS, Refused, body_of
from .panels import Panel
from .parts import parts_of
from .playground import stored_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

_T = TypeVar("_T")
CODING_TITLES = {"int8": "8 bits", "int4": "4 bits", "int2": "2 bits", "ternary": "three levels"}


async def candidates(request: Request) -> Response:
    """The arms with a finished run, and what each costs with weights of each coding on each core."""
    parts, name = parts_of(request), request.path_params["name"]
    followed = await parts.watch.study(name)
    record, state = followed.record, followed.finished
    return JSONResponse(await parts.findings.get("bytes", name, state, lambda: _candidates(record)))


def _candidates(record: StudyRecord) -> dict[str, Any]:
    return {
        "candidates": [
            {
                "arm": one.arm,
                "run": one.run.id[:12],
                "label": one.run.label,
                "score": one.score,
                "seeds": one.num_seeds,
                "parameters": one.parameters,
                "costs": {coding: _costs(costs) for coding, costs in one.costs.items()},
                "bounded": one.is_bound,
                "reason": one.reason,
            }
            for one in candidates_of(record)
        ],
        "codings": [{"name": name, "title": title} for name, title in CODING_TITLES.items()],
        "cores": [
            {"name": name, "title": core.title, "megahertz": core.megahertz, "cycles": core.cycles}
            for name, core in CORES.items()
        ],
        "measure": studies.measure(record),
    }


def _costs(costs: Costs) -> dict[str, Any]:
    return {
        "bytes": costs.bytes,
        "ram": costs.ram,
        "multiply_adds": costs.multiply_adds,
        "microseconds": {core: round(time, 1) for core, time in costs.microseconds.items()},
    }


async def program(request: Request) -> Response:
    """One arm in whole numbers: its costs, how it compares with its network, and how pictures are read for it."""

    def describe(panel: Panel, coding: str) -> dict[str, Any]:
        known = panel.program(coding)
        model = panel.models[0]
        agreement = panel.agreement(coding)
        return {
            "arm": model.arm.name,
            "run": model.run.id[:12],
            "label": model.run.label,
            "coding": coding,
            "weights": CODING_TITLES[coding] if model.summary.quantization is None else "as trained",
            "classes": panel.classes,
            "shape": list(panel.shape),
            "framing": panel.framing.sentence if panel.framing else "",
            "reading": panel.reader.description,
            "parameters": model.summary.parameters,
            "costs": _costs(costs_of_program(known)),
            "unit": known.unit,
            "agreement": None if agreement is None else vars(agreement),
        }

    return JSONResponse((await _asked(request, describe))[0])


async def image(request: Request) -> Response:
    """A picture or drawing, what the network says of it in float32, and what its program in whole numbers does."""
    read = await _reader(request)

    def answer(panel: Panel, coding: str) -> dict[str, Any]:
        pixels, model, known = read(panel), panel.models[0], panel.program(coding)
        logits = known.whole_logits(pixels[None])
        whole = softmax((logits * known.unit).astype(np.float32))[0]
        exact = model.once().probabilities(pixels[None])[0]
        return {
            "float": [round(float(value), 5) for value in exact],
            "whole": [round(float(value), 5) for value in whole],
            "logits": [int(value) for value in logits[0]],
            "seen": base64.b64encode(stored_bytes(pixels).tobytes()).decode(),
            "shape": list(panel.shape),
            "is_blank": not pixels.any(),
        }

    values, seconds = await _asked(request, answer)
    return JSONResponse({**values, "milliseconds": round(1000 * seconds, 1)})


async def file(request: Request) -> Response:
    """The header, an example and the model card as a ZIP file; the example holds the picture that was sent, if any."""
    read = await _reader(request) if request.method == "POST" else None

    def pack(panel: Panel, coding: str) -> bytes:
        pixels = None if read is None else read(panel)
        return bundle_of(panel.models[0], panel.program(coding), coding, pixels, panel.agreement(coding))

    content, _ = await _asked(request, pack)
    headers = {"content-disposition": 'attachment; filename="model.zip"'}
    return Response(content, media_type="application/zip", headers=headers)


async def _reader(request: Request) -> Callable[[Panel], NDArray[Any]]:
    """What reads a request's picture as a network takes it."""
    kind = request.query_params.get("kind", "picture")
    if kind not in ("drawing", "picture", "character"):
        raise Refused(400, "kind must be drawing, picture or character")
    content = await body_of(request, MAX_PICTURE_BYTES, PICTURE_KINDS)
    return lambda panel: panel.image_of(content, is_drawing=kind == "drawing", is_framed=kind == "character")


async def _asked(request: Request, question: Callable[[Panel, str], _T]) -> tuple[_T, float]:
    """An answer about one arm's first finished run and a coding of weights, and the seconds that it took."""
    record = (await parts_of(request).watch.study(request.path_params["name"])).record
    coding = coding_of(request.query_params.get("coding", "int8")).name
    run = runs_of_arm(record, request.query_params.get("arm") or None)[0]
    return await parts_of(request).panels.ask(record, None, lambda panel: question(panel, coding), run=run.id)
