"""Requests that start and stop training, which only the application's own pages may make."""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import AssayError
from .launch import Launcher
from .limits import Refused
from .parts import Parts, parts_of


async def start(request: Request) -> Response:
    """Runs a study of the store again, or resumes it."""
    parts, launcher = _permitted(request)
    record = (await parts.watch.study(request.path_params["name"])).record
    try:
        launcher.start(record)
    except AssayError as error:
        raise Refused(409, str(error).rstrip(".")) from None
    return JSONResponse({"training": True}, 202)


async def stop(request: Request) -> Response:
    """Interrupts the training that :func:`start` started."""
    _, launcher = _permitted(request)
    launcher.stop(request.path_params["name"])
    return JSONResponse({"training": False}, 202)


def _permitted(request: Request) -> tuple[Parts, Launcher]:
    """The parts, if the request carries the token of the application's own pages.

    Raises:
        Refused: 403.
    """
    parts = parts_of(request)
    token = request.headers.get("x-assay-token", "")
    if parts.launcher is None or not hmac.compare_digest(token.encode(), parts.token.encode()):
        raise Refused(403, "the page's token is missing; load the page again")
    return parts, parts.launcher
