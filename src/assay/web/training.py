"""Requests to train, which only our own pages may make."""

from __future__ import annotations

import hmac

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import AssayError
from .launch import Launcher
from .limits import Refused
from .parts import Parts, parts_of


async def start(request: Request) -> Response:
    """Run a study of the store again, or go on with it."""
    parts, launcher = _permitted(request)
    record = (await parts.watch.study(request.path_params["name"])).record
    try:
        launcher.start(record)
    except AssayError as error:
        raise Refused(409, str(error).rstrip(".")) from None
    return JSONResponse({"training": True}, 202)


async def stop(request: Request) -> Response:
    """Interrupt what :func:`start` started."""
    _, launcher = _permitted(request)
    launcher.stop(request.path_params["name"])
    return JSONResponse({"training": False}, 202)


def _permitted(request: Request) -> tuple[Parts, Launcher]:
    """The parts, where the request holds the token that only our own pages know.

    Raises:
        Refused: 403.
    """
    parts = parts_of(request)
    given = request.headers.get("x-assay-token", "")
    if parts.launcher is None or not hmac.compare_digest(given.encode(), parts.token.encode()):
        raise Refused(403, "the page's token is missing; load the page again")
    return parts, parts.launcher
