"""The pages and what they load: the list, a study, a run, its pictures and its report."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from functools import cache
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from ..analysis.numbers import counted
from ..errors import SpecError, StoreError
from ..runner.events import without_nan
from . import studies
from .findings import answer_of, arms_of, fragment, timed, trials_of
from .guard import REPORT_POLICY
from .limits import Refused
from .parts import parts_of

KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@cache
def assets() -> dict[str, tuple[bytes, str, str]]:
    """The scripts and styles by name: content, media type, hash."""
    folder = resources.files("assay.web") / "static"
    found = {}
    for file in folder.iterdir():
        suffix = Path(file.name).suffix
        if suffix in KINDS:
            content = file.read_bytes()
            found[file.name] = (content, KINDS[suffix], sha256(content).hexdigest()[:16])
    return found


async def asset(request: Request) -> Response:
    """A script or style. Only names that are known are served: no path is ever made of what was asked."""
    found = assets().get(request.path_params["name"])
    if found is None:
        raise Refused(404, "there is no such file")
    content, kind, digest = found
    headers = {"etag": f'"{digest}"', "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)


def page(request: Request, template: str, /, code: int = 200, **values: Any) -> HTMLResponse:
    """A page, with what every page has."""
    parts = parts_of(request)
    told = {"version": version("assay"), "store": str(parts.store), "token": parts.token if parts.launcher else ""}
    return HTMLResponse(fragment(template, **{**told, **values}), code)


async def home(request: Request) -> Response:
    return page(request, "studies.html")


async def study(request: Request) -> Response:
    name = request.path_params["name"]
    found = await _overview(request, name)
    parts_of(request).watch.read_ahead(name)
    facts = [name, found.data, counted(found.num_arms, "arm"), counted(found.num_runs, "run")]
    return page(request, "study.html", name=name, question=found.question or name, facts=facts, leaky=found.is_leaky)


async def playground(request: Request) -> Response:
    name = request.path_params["name"]
    found = await _overview(request, name)
    return page(request, "play.html", name=name, question=found.question or name)


async def _overview(request: Request, name: str) -> Any:
    """A study in short; reading it in full is left to what its page loads."""
    known = await parts_of(request).watch.ask(lambda follower: follower.overviews())
    found = next((overview for overview in known if overview.name == name), None)
    if found is None:
        raise Refused(404, "there is no such study in this store")
    return found


async def list_studies(request: Request) -> Response:
    parts = parts_of(request)
    version_, known = await parts.watch.ask(lambda follower: (follower.version, follower.overviews()))
    return JSONResponse({"version": version_, "studies": [studies.overview(found) for found in known]})


async def study_changes(request: Request) -> Response:
    parts, name = parts_of(request), request.path_params["name"]
    since = request.query_params.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) < 16):
        raise Refused(400, "since must be a version: a whole number")
    followed = await parts.watch.study(name)
    is_training = await parts.watch.ask(lambda follower: follower.is_training(name))
    found = without_nan(studies.changes(followed, int(since), is_training=is_training))
    found["ours"] = parts.launcher.is_running(name) if parts.launcher else None
    found["trouble"] = parts.launcher.trouble(name) if parts.launcher else ""
    return JSONResponse(found)


async def study_curves(request: Request) -> Response:
    parts, name = parts_of(request), request.path_params["name"]
    measure = request.query_params.get("measure", studies.MEASURES[0])
    followed = await parts.watch.study(name)
    state, record = followed.version, followed.record
    return JSONResponse(
        await parts.findings.get(f"curves {measure}", name, state, lambda: studies.curves(record, measure))
    )


async def study_arms(request: Request) -> Response:
    parts, name = parts_of(request), request.path_params["name"]
    followed = await parts.watch.study(name)
    record, state = followed.record, followed.finished
    found = await parts.findings.get("arms", name, state, timed(lambda: arms_of(record)))
    return JSONResponse({**found, "finished": state})


async def study_trials(request: Request) -> Response:
    parts, name = parts_of(request), request.path_params["name"]
    followed = await parts.watch.study(name)
    record, state = followed.record, followed.version
    if record.search is None:
        raise Refused(404, "this study is no search")
    return JSONResponse(await parts.findings.get("trials", name, state, timed(lambda: trials_of(record))))


async def study_answer(request: Request) -> Response:
    parts, name = parts_of(request), request.path_params["name"]
    followed = await parts.watch.study(name)
    record, state = followed.record, followed.finished
    found = await parts.findings.get("answer", name, state, timed(lambda: answer_of(record)))
    return JSONResponse({**found, "finished": state})


async def study_run(request: Request) -> Response:
    parts, name = parts_of(request), request.path_params["name"]
    record = (await parts.watch.study(name)).record
    run = studies.run_of(record, request.path_params["run"])
    if run is None:
        raise Refused(404, "there is no such run in this study")
    return JSONResponse(studies.details(record, run))


async def gallery(request: Request) -> Response:
    """The first training images of each class, as in the report."""
    from ..results.recorded import gallery_of

    parts, name = parts_of(request), request.path_params["name"]
    record = (await parts.watch.study(name)).record
    found = await parts.findings.get("gallery", name, record.data["content"], lambda: gallery_of(record))
    if found is None:
        raise Refused(404, "the study's data are no longer at hand")
    return Response(found.png, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


async def report(request: Request) -> Response:
    """The study's whole report, shut off from this origin."""
    from ..api import report_html

    parts, name = parts_of(request), request.path_params["name"]
    followed = await parts.watch.study(name)
    record, state = followed.record, followed.version
    html = await parts.findings.get("report", name, state, lambda: report_html(record))
    return HTMLResponse(html, headers={"content-security-policy": REPORT_POLICY})


async def events(request: Request) -> Response:
    stream = parts_of(request).watch.events()
    first = await anext(stream)  # raises before the answer has begun

    async def all_of() -> AsyncIterator[str]:
        async with contextlib.aclosing(stream):
            yield first
            async for event in stream:
                yield event

    return StreamingResponse(all_of(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def problem_status(error: Exception) -> int:
    """The status of an answer to what could not be done."""
    text = str(error)
    if isinstance(error, StoreError):
        return 404 if "there is no study" in text or "there is no store" in text else 503
    return 422 if isinstance(error, SpecError) else 409
