"""The web application: routes, and the responses to errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import InputError
from . import microcontroller, pages, playground, predict, training
from .access import Access
from .findings import Findings
from .guard import Guard, Hosts, note, refusal
from .launch import Launcher
from .limits import Refused
from .panels import Panels
from .parts import Parts
from .watch import Watch

log = logging.getLogger("assay.web")


def make_app(store: Path, hosts: Hosts, *, allow_run: bool = False, access: Access | None = None) -> Guard:
    """The pages over a store.

    Args:
        store: The store's folder; it may be created later, vanish and come back.
        hosts: The host names that are served.
        allow_run: Whether the page may start and stop the training of a study in the store.
        access: The token that requests must carry; none has to if ``None``, as where only this machine is answered.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        launcher = Launcher(store) if allow_run else None
        parts = Parts(store, Watch(store), Findings(), Panels(store), launcher, secrets.token_urlsafe(24))
        app.state.parts = parts
        watching = asyncio.create_task(parts.watch.run())
        try:
            yield
        finally:
            watching.cancel()
            parts.watch.close()
            parts.findings.close()
            parts.panels.close()
            if launcher is not None:
                launcher.close()

    study = "/api/studies/{name}"
    routes = [
        Route("/", pages.home),
        Route("/static/{name}", pages.asset),
        Route("/studies/{name}", pages.study),
        Route("/studies/{name}/play", pages.playground),
        Route("/studies/{name}/labels", pages.labels),
        Route("/studies/{name}/bytes", pages.microcontroller),
        Route("/studies/{name}/report", pages.report),
        Route("/studies/{name}/gallery.png", pages.gallery),
        Route(f"{study}/look", pages.study_look),
        Route(f"{study}/labels", pages.study_labels),
        Route("/api/events", pages.events),
        Route("/api/studies", pages.list_studies),
        Route(study, pages.study_changes),
        Route(f"{study}/curves", pages.study_curves),
        Route(f"{study}/arms", pages.study_arms),
        Route(f"{study}/answer", pages.study_answer),
        Route(f"{study}/trials", pages.study_trials),
        Route(f"{study}/runs/{{run}}", pages.study_run),
        Route(f"{study}/play", playground.about),
        Route(f"{study}/play/calibration", playground.calibration),
        Route(f"{study}/play/picks", playground.picks),
        Route(f"{study}/play/picks/{{index:int}}", playground.pick),
        Route(f"{study}/play/image", playground.image, methods=["POST"]),
        Route(f"{study}/bytes", microcontroller.candidates),
        Route(f"{study}/bytes/program", microcontroller.program),
        Route(f"{study}/bytes/image", microcontroller.image, methods=["POST"]),
        Route(f"{study}/bytes/file", microcontroller.file, methods=["GET", "POST"]),
        Route("/predict", predict.predict, methods=["POST"]),
        Route("/openapi.json", predict.description),
    ]
    if allow_run:
        routes += [
            Route(f"{study}/run", training.start, methods=["POST"]),
            Route(f"{study}/stop", training.stop, methods=["POST"]),
        ]
    app = Starlette(
        routes=routes,
        exception_handlers={Refused: _refused, HTTPException: _http, InputError: _problem, Exception: _broken},
        lifespan=lifespan,
    )

    async def end() -> None:
        await app.state.parts.watch.end()

    return Guard(app, hosts, end, access)  # the outermost layer, so that no response lacks its headers


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    note(request.scope, error)
    return _error_response(request, error)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reasons = {404: "there is no such page", 405: f"{request.method[:20]} is not answered here"}
    refused = Refused(error.status_code, reasons.get(error.status_code, error.detail.lower()))
    note(request.scope, refused)
    response = _error_response(request, refused)
    response.headers.update(error.headers or {})
    return response


async def _problem(request: Request, error: Exception) -> Response:
    return _error_response(request, Refused(pages.problem_status(error), str(error).rstrip(".")))


async def _broken(request: Request, error: Exception) -> Response:
    return refusal(Refused(500, "something went wrong here; the server's log says what"))


def _error_response(request: Request, refused: Refused) -> Response:
    """An HTML page for browsers, JSON for programs."""
    path = request.url.path
    if path.startswith(("/api/", "/predict", "/static/")) or "text/html" not in request.headers.get("accept", ""):
        return refusal(refused)
    return pages.page(request, "refused.html", refused.status, status=refused.status, reason=refused.reason)
