"""The pages and the data that they load: the list, a study, a run, its pictures and its report."""

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

from ..errors import NoStore, NoSuchRun, NoSuchStudy, SpecError, StoreError
from ..numerals import counted
from ..results.verdict_record import with_look
from ..runner.events import without_nan
from ..store import StudyRecord
from . import studies
from .findings import answer_of, arms_of, fragment, timed, trials_of
from .guard import REPORT_POLICY
from .limits import Refused
from .parts import parts_of

KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@cache
def assets() -> dict[str, tuple[bytes, str, str]]:
    """The scripts and styles by name: content, media type, hash."""
    files = {}
    shared = resources.files("assay.report") / "templates" / "relabel.js"
    for file in (*(resources.files("assay.web") / "static").iterdir(), shared):
        suffix = Path(file.name).suffix
        if suffix in KINDS:
            content = file.read_bytes()
            files[file.name] = (content, KINDS[suffix], sha256(content).hexdigest()[:16])
    return files


async def asset(request: Request) -> Response:
    """A script or style. Only listed names are served; no path is built from the request."""
    file = assets().get(request.path_params["name"])
    if file is None:
        raise Refused(404, "there is no such file")
    content, media_type, digest = file
    headers = {"etag": f'"{digest}"', "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def page(request: Request, template: str, /, code: int = 200, **values: Any) -> HTMLResponse:
    """A page, with the values that every page needs."""
    parts = parts_of(request)
    common = {"version": version("assay"), "store": str(parts.store), "token": parts.token if parts.launcher else ""}
    return HTMLResponse(fragment(template, **{**common, **values}), code)


async def home(request: Request) -> Response:
    return page(request, "studies.html")


async def study(request: Request) -> Response:
    name = request.path_params["name"]
    overview = await _overview(request, name)
    parts_of(request).watch.read_ahead(name)
    facts = [name, overview.data, counted(overview.num_arms, "arm"), counted(overview.num_runs, "run")]
    return page(
        request, "study.html", name=name, question=overview.question or name, facts=facts, leaky=overview.is_leaky
    )


async def playground(request: Request) -> Response:
    name = request.path_params["name"]
    overview = await _overview(request, name)
    return page(request, "play.html", name=name, question=overview.question or name)


async def labels(request: Request) -> Response:
    """Labels in doubt, to be corrected into a table that the browser saves: nothing is written here."""
    name = request.path_params["name"]
    overview = await _overview(request, name)
    return page(request, "labels.html", name=name, question=overview.question or name)


async def microcontroller(request: Request) -> Response:
    name = request.path_params["name"]
    overview = await _overview(request, name)
    return page(request, "bytes.html", name=name, question=overview.question or name)


async def _overview(request: Request, name: str) -> Any:
    """A study's overview; the page's own requests read the whole study."""
    overviews = await parts_of(request).watch.ask(lambda follower: follower.overviews())
    match = next((overview for overview in overviews if overview.name == name), None)
    if match is None:
        raise Refused(404, "there is no such study in this store")
    return match


async def list_studies(request: Request) -> Response:
    parts = parts_of(request)
    version_, overviews = await parts.watch.ask(lambda follower: (follower.version, follower.overviews()))
    return JSONResponse({"version": version_, "studies": [studies.overview(overview) for overview in overviews]})


async def study_changes(request: Request) -> Response:
    parts, name = parts_of(request), request.path_params["name"]
    since = request.query_params.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) < 16):
        raise Refused(400, "since must be a version: a whole number")
    followed = await parts.watch.study(name)
    is_training = await parts.watch.ask(lambda follower: follower.is_training(name))
    values = without_nan(studies.changes(followed, int(since), is_training=is_training))
    values["ours"] = parts.launcher.is_running(name) if parts.launcher else None
    values["trouble"] = parts.launcher.trouble(name) if parts.launcher else ""
    return JSONResponse(values)


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
    values = await parts.findings.get("arms", name, state, timed(lambda: arms_of(record)))
    return JSONResponse({**values, "finished": state})


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
    values = await parts.findings.get("answer", name, state, timed(lambda: answer_of(with_look(parts.store, record))))
    return JSONResponse({**values, "finished": state})


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
    picture = await parts.findings.get(
        "gallery", name, record.data["content"], lambda: gallery_of(record, with_look=False)
    )
    if picture is None:
        raise Refused(404, _no_data(record))
    return Response(picture.png, media_type="image/png", headers={"cache-control": "private, max-age=3600"})


def _no_data(record: StudyRecord) -> str:
    if record.sets:
        return "the study learns from several data sets, none of which stands for all"
    return "the study's data are no longer at hand"


async def study_look(request: Request) -> Response:
    """What the checks of the study's data say, as in the report."""
    from ..results.recorded import data_look_of

    parts, name = parts_of(request), request.path_params["name"]
    record = (await parts.watch.study(name)).record
    seen = await parts.findings.get("look", name, record.data["content"], lambda: data_look_of(record))
    if seen is None:
        raise Refused(404, _no_data(record))
    return JSONResponse({"html": fragment("_checks.html", look=seen)})


async def study_labels(request: Request) -> Response:
    """What speaks against labels of the study's data, as a fragment; the networks are asked once for a state."""
    from ..results.label_doubts import doubts_part

    parts, name = parts_of(request), request.path_params["name"]
    followed = await parts.watch.study(name)
    part = await parts.findings.get("labels", name, followed.finished, lambda: doubts_part(parts.store, name))
    return JSONResponse({"html": fragment("_labels.html", part=part)})


async def report(request: Request) -> Response:
    """The study's whole report, sandboxed from this origin."""
    from ..api import report_html

    parts, name = parts_of(request), request.path_params["name"]
    followed = await parts.watch.study(name)
    record, state = followed.record, followed.version
    html = await parts.findings.get(
        "report", name, state, lambda: report_html(with_look(parts.store, record), store=parts.store)
    )
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
    """The HTTP status for an error."""
    if isinstance(error, NoStore | NoSuchStudy | NoSuchRun):
        return 404
    if isinstance(error, StoreError):
        return 503
    return 422 if isinstance(error, SpecError) else 409
