"""``/predict``: images in, probabilities out, for programs."""

from __future__ import annotations

import base64
import binascii
from importlib.metadata import version
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import SpecError
from ..results.answers import AnswerRequest, answer_request, set_names
from .limits import MAX_IMAGES, MAX_JSON_BYTES, MAX_PICTURE_BYTES, Refused, body_of
from .panels import Panel
from .parts import parts_of

_MAX_TEXT = MAX_PICTURE_BYTES * 4 // 3 + 4
_FLOAT_TOLERANCE = 1e-6


class PredictRequest(BaseModel):
    """Which networks are asked, and about which images."""

    model_config = ConfigDict(extra="forbid", strict=True)

    study: str = Field(max_length=80, description="A study in the store.")
    arm: str | None = Field(
        default=None,
        max_length=120,
        description="All finished runs of this arm answer together: their mean probability. The arm with the highest "
        "mean validation accuracy (the lowest loss, in a search that goes by it) if neither arm nor run is given.",
    )
    run: str | None = Field(
        default=None, min_length=4, max_length=64, pattern="^[0-9a-f]+$", description="One run, by the start of its id."
    )
    images: list[Annotated[str, Field(max_length=_MAX_TEXT)] | list[Any]] = Field(
        min_length=1,
        max_length=MAX_IMAGES,
        description="Each an image's stored values as nested lists, [height][width] or [height][width][channels], 0 to "
        "255 (0 to 1 where the data set is float32); or a picture file (PNG, JPEG, WebP, GIF, BMP) in base64, which is "
        "read and brought to size as the study read its training images.",
    )
    framed: bool = Field(
        default=False,
        description="Each picture file shows one character on a plain ground: it is cut out, scaled and placed as the "
        "characters of the data set are. Only for data sets of characters.",
    )
    sets: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Add to each prediction the set of classes that holds the truth so often, such as 0.9, where "
        "images are drawn as the validation images were (split conformal prediction). The first such request fits "
        "the rule.",
    )
    set_method: Literal["adaptive", "regularized", "threshold"] = Field(
        default="adaptive", description="How sets are made."
    )
    by_class: bool = Field(default=False, description="Keep the promise of sets for each class.")
    never_empty: bool = Field(
        default=False, description="Put the most probable class into sets that would be empty: more than was promised."
    )
    refuse: bool | Annotated[float, Field(gt=0, lt=1)] = Field(
        default=False,
        description="Say of each image how unlike the data it is, and refuse it above 1. True refuses 5 % of "
        "validation images; a number is another share of them.",
    )

    def answers(self) -> AnswerRequest:
        """What is asked for beside probabilities.

        Raises:
            Refused: An option of sets is given without sets.
        """
        given = [name for name in ("set_method", "by_class", "never_empty") if name in self.model_fields_set]
        if self.sets is None and given:
            raise Refused(422, f"{' and '.join(given)} belong to sets, and none are asked for")
        return answer_request(self.sets, self.set_method, self.by_class, self.never_empty, self.refuse)


class Prediction(BaseModel):
    """What the networks say of one image."""

    label: str = Field(description="The class with the highest probability.")
    confidence: float = Field(description="Its probability, 0 to 1.")
    probabilities: list[float] = Field(description="Of every class, in the order of classes; they sum to 1.")
    set: list[str] | None = Field(default=None, description="The classes that it may be, where sets were asked for.")
    unlike: float | None = Field(
        default=None, description="How unlike the data it is, refused above 1, where refusal was asked for."
    )
    refused: bool | None = Field(default=None, description="Whether it is refused, where that was asked for.")


class PredictResponse(BaseModel):
    """The answer, with what gave it."""

    study: str
    arm: str
    runs: list[str] = Field(description="The ids of the runs that answered.")
    classes: list[str]
    predictions: list[Prediction] = Field(description="One for each image, in their order.")
    note: str | None = Field(default=None, description="What sets and refusal were fitted on, and what that means.")
    milliseconds: float


class Failure(BaseModel):
    """Why a request was not answered."""

    error: str


async def predict(request: Request) -> Response:
    """Answer a :class:`PredictRequest`."""
    body = await body_of(request, MAX_JSON_BYTES, ("application/json",))
    try:
        asked = PredictRequest.model_validate_json(body)
    except ValidationError as error:
        raise Refused(422, _reasons(error)) from None
    except RecursionError:
        raise Refused(422, "the lists are nested too deeply") from None
    if asked.arm is not None and asked.run is not None:
        raise Refused(422, "give arm or run, not both")
    wanted = asked.answers()
    parts = parts_of(request)
    record = (await parts.watch.study(asked.study)).record
    try:  # network by network, so that other questions are answered in between
        while (await parts.panels.ask(record, asked.arm, lambda panel: panel.gather_some(wanted), run=asked.run))[0]:
            pass
    except SpecError as error:
        raise Refused(422, error.problems[0].what) from None
    is_best_arm = asked.arm is None and asked.run is None

    def question(panel: Panel) -> PredictResponse:
        images = np.stack([_image(panel, given, place, asked.framed) for place, given in enumerate(asked.images)])
        means = panel.ensemble.probabilities(images)
        note, sets, unlike = None, None, None
        if not wanted.is_plain:
            try:
                rules = panel.answers(wanted, is_best_arm=is_best_arm)
            except SpecError as error:
                raise Refused(422, error.problems[0].what) from None
            note, chosen, unlike = rules.note, rules.set_of(means, images), rules.unlike(images)
            sets = None if chosen is None else set_names(chosen, panel.classes)
        return PredictResponse(
            study=asked.study,
            arm=panel.arm,
            runs=[model.run.id for model in panel.models],
            classes=list(panel.classes),
            predictions=[
                Prediction(
                    label=panel.classes[int(mean.argmax())],
                    confidence=float(mean.max()),
                    probabilities=[float(value) for value in mean],
                    set=None if sets is None else list(sets[place]),
                    unlike=None if unlike is None else float(unlike[place]),
                    refused=None if unlike is None else bool(unlike[place] > 1),
                )
                for place, mean in enumerate(means)
            ],
            note=note,
            milliseconds=0,
        )

    answer, seconds = await parts.panels.ask(record, asked.arm, question, run=asked.run)
    return JSONResponse({**answer.model_dump(exclude_none=True), "milliseconds": round(1000 * seconds, 1)})


def _image(panel: Panel, given: str | list[Any], place: int, is_framed: bool) -> NDArray[Any]:
    if isinstance(given, str):
        try:
            content = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            raise Refused(422, f"images[{place}] is no base64") from None
        try:
            return panel.image_of(content, is_framed=is_framed)
        except Refused as refused:
            raise Refused(refused.status, f"images[{place}]: {refused.reason}") from None
    height, width, channels = panel.shape
    is_float = panel.reader.dtype == "float32"
    try:
        values = np.array(given)
    except (ValueError, TypeError, OverflowError):
        values = np.array(None)
    if values.dtype.kind not in "iuf" or values.shape not in {
        (height, width, channels),
        (height, width)[: 3 - (channels > 1)],
    }:
        wanted = f"[{height}][{width}]" + (f"[{channels}]" if channels > 1 else "")
        raise Refused(422, f"images[{place}] must be numbers as {wanted}")
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > (1 + _FLOAT_TOLERANCE if is_float else 255):
        raise Refused(422, f"images[{place}] must lie in 0 to {1 if is_float else 255}")
    values = values.reshape(height, width, channels)
    if not is_float and (values != np.rint(values)).any():
        raise Refused(422, f"images[{place}] must be whole numbers, 0 to 255")
    return values.astype(np.float32 if is_float else np.uint8)


def _reasons(error: ValidationError) -> str:
    """Every problem of a request in one sentence."""
    problems = []
    for item in error.errors(include_url=False, include_context=False, include_input=False)[:5]:
        where = ".".join(str(part) for part in item["loc"][:2])
        problems.append(f"{where}: {item['msg']}" if where else item["msg"])
    return "; ".join(dict.fromkeys(problems))


async def description(request: Request) -> Response:
    """The OpenAPI description of :func:`predict`."""
    return JSONResponse(openapi())


def openapi() -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    schemas: dict[str, Any] = {}
    for model in (PredictRequest, PredictResponse, Failure):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    reasons = {
        "403": "The request comes from another site.",
        "404": "There is no such study.",
        "408": "The request took too long to arrive.",
        "409": "The networks cannot be asked: weights are missing.",
        "413": "The request, or a picture in it, is too large.",
        "415": "The content type is not application/json.",
        "421": "The Host header does not name this server.",
        "422": "The request breaks a rule; the error says which.",
        "503": "The store cannot be read now.",
    }
    refused = {"application/json": {"schema": {"$ref": "#/components/schemas/Failure"}}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Assay",
            "version": version("assay"),
            "description": "Ask the networks of a study, all seeds of an arm together or one run.",
        },
        "paths": {
            "/predict": {
                "post": {
                    "operationId": "predict",
                    "summary": f"Class probabilities of up to {MAX_IMAGES} images, {MAX_JSON_BYTES >> 20} MiB in all.",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/PredictRequest"}}},
                    },
                    "responses": {
                        "200": {
                            "description": "One prediction for each image.",
                            "content": {
                                "application/json": {"schema": {"$ref": "#/components/schemas/PredictResponse"}}
                            },
                        },
                        **{status: {"description": why, "content": refused} for status, why in reasons.items()},
                    },
                }
            }
        },
        "components": {"schemas": schemas},
    }
