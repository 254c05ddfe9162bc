"""What an executor tells about the runs that it was given."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ..store import ImageHits, KeptPredictions, State
from ..train.epochs import EpochRecord


@dataclass(frozen=True)
class Started:
    """A worker has begun a run, or goes on with it from its checkpoint."""

    run: str
    environment: dict[str, Any]


@dataclass(frozen=True)
class EpochDone:
    """A run has finished an epoch. A resumed run tells its earlier epochs again."""

    run: str
    record: EpochRecord


@dataclass(frozen=True)
class Finished:
    """A run has finished and its weights, those of ``kept_epoch`` or the last epoch, are on disk.

    ``hits`` says which validation images they classify correctly, and ``predictions`` what they say of them; ``None``
    of a run without validation images. ``facts`` is what else is known of the run once it is over, and joins its
    environment: what energy it took, how many training images it left out.
    """

    run: str
    seconds: float
    peak_memory_bytes: int
    weights_file: str
    weights_sha256: str
    weights_bytes: int
    kept_epoch: int | None = None
    hits: ImageHits | None = None
    predictions: KeptPredictions | None = None
    facts: dict[str, Any] | None = None


@dataclass(frozen=True)
class Paused:
    """A run has stopped where its task asked it to. Its checkpoint is on disk."""

    run: str
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A run ended without a result, for a reason that lies in the run."""

    run: str
    state: State
    reason: str
    advice: str


@dataclass(frozen=True)
class Lost:
    """The worker that trained a run is gone, for a reason that need not lie in the run.

    With ``is_machine`` its whole machine is gone, or cannot go on.
    """

    run: str
    reason: str
    is_memory: bool
    is_machine: bool = False


@dataclass(frozen=True)
class NoSpace:
    """A worker could not write: the disk is full. Nothing more can be kept."""

    run: str
    reason: str


@dataclass(frozen=True)
class Compiling:
    """A worker compiles kernels that this machine has not made yet: the run waits for them."""

    run: str
    kernels: tuple[str, ...]


@dataclass(frozen=True)
class Advanced:
    """How far a run is in an epoch, from 1: the share of its steps that are done."""

    run: str
    epoch: int
    share: float


TRANSIENT = (Compiling, Advanced)  # for whoever follows; nothing is recorded
Event = Started | EpochDone | Finished | Paused | Failed | Lost | NoSpace | Compiling | Advanced
_KINDS: dict[str, type[Event]] = {
    kind.__name__: kind for kind in (Started, EpochDone, Finished, Paused, Failed, Lost, NoSpace, Compiling, Advanced)
}


def to_json(event: Event) -> dict[str, Any]:
    """An event as plain values."""
    values = {"event": type(event).__name__, **asdict(event)}
    if isinstance(event, Finished) and event.hits is not None:
        values["hits"] = event.hits.to_json()
    if isinstance(event, Finished) and event.predictions is not None:
        values["predictions"] = event.predictions.to_json()
    return values


def without_nan(value: Any) -> Any:
    """The value with ``None`` where it holds a number that is none, which JSON cannot say."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    return [without_nan(item) for item in value] if isinstance(value, list | tuple) else value


def from_json(values: dict[str, Any]) -> Event:
    fields = dict(values)
    kind = _KINDS[fields.pop("event")]
    if kind is EpochDone:
        fields["record"] = EpochRecord(**fields["record"])
    if fields.get("hits"):
        fields["hits"] = ImageHits.from_json(fields["hits"])
    if fields.get("predictions"):
        fields["predictions"] = KeptPredictions.from_json(fields["predictions"])
    return kind(**fields)
