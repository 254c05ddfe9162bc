"""Code of one's own in a study that the user gives: named on this machine, made, tried."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import Problem, SpecError
from ..measures import measure_called
from ..nets import Summary
from ..nets.own import allow, located, read_source
from ..spec import Arm, OwnCall, Study, is_module_line, own_calls, with_calls
from ..spec.own import is_own, read_call
from ..store import DATABASE

POLICY, KNOWN = "ASSAY_OWN_CODE", "known"


def named(arm: Arm) -> Arm:
    """An arm whose parts of one's own are known by their source, which the user names by naming the study.

    Raises:
        SpecError: A file cannot be read, lies in a store, or is another than the study pins by ``source=``.
        NoCode: Only code that was named before may be imported, and this is none.
    """
    return with_calls(arm, _named)


def _named(call: OwnCall, key: str) -> OwnCall:
    """The call with its source, noted as named by the user.

    Code inside a store is refused, whoever names it. Where ``ASSAY_OWN_CODE=known`` (a study that a page resumes, from
    its record), nothing is noted: only code that was named before may be imported.
    """
    if call.source is not None and not Path(call.file).is_absolute():
        return call  # without a path it is a record's, which names nothing
    path = Path(call.file).resolve()
    if any((folder / DATABASE).exists() for folder in path.parents):
        what = f"{path.name} lies in a store ({path.parent}), and code in a store is never imported"
        raise SpecError(Problem(what, "put it beside the study file, outside of the store", key))
    source = read_source(Path(call.file), key)
    if call.source not in (None, source.sha256):
        what = f"the code of {call.file} has SHA-256 {source.sha256}, and the study pins {call.source}"
        raise SpecError(Problem(what, "leave source= out, or put the code back", key))
    if os.environ.get(POLICY) == KNOWN:
        located(call.with_source(source.sha256))
        return call.with_source(source.sha256)
    return allow(call, source)


def try_own(arm: Arm, summary: Summary) -> None:
    """Train an arm for a few steps, where a part of it is the user's own code.

    Args:
        arm: As ``named`` returns it.
        summary: Of its network.

    Raises:
        SpecError: As ``train.trial.try_arm`` has it.
    """
    if not any(True for _ in own_calls(arm)):
        return
    from ..train.paths import path_of
    from ..train.trial import try_arm

    try_arm(summary, arm.training, path_of(summary, arm.training)[1])


def named_metric(metric: str, key: str = "metric") -> str:
    """A metric as it is stored: a function of the user's own with the source of its code, which the user names here.

    Raises:
        SpecError: The file cannot be read, or holds no such function.
        NoCode: As ``named``.
    """
    if not is_own(metric):
        return metric
    call = _named(read_call(metric, key), key)
    measure_called(call.text)  # imports it, so that what cannot be imported fails before anything trains
    return call.text


def has_own(study: Study) -> bool:
    """Whether a part that only this machine's processor runs is the user's own code: a module, loss or optimizer."""
    return bool(_own_parts(study) - {"augmentation"})


def refuse_elsewhere(study: Study, on: str) -> None:
    """Raise where code of the user's own would run on another machine or device than this one's processor.

    Raises:
        SpecError: It would.
    """
    if on != "local" and (parts := _own_parts(study)):
        what = f"code of your own ({', '.join(sorted(parts))}) trains on this machine alone: it is not sent to others"
        fix = "leave --on out, or write that part in Assay's own words (docs/reference/study-file.md)"
        raise SpecError(Problem(what, fix, "layers[0]" if "layers" in parts else f"training.{min(parts)}"))
    if study.device == "cuda" and has_own(study):
        what = "a module, loss or optimizer of your own trains on the processor"
        raise SpecError(Problem(what, 'give "cpu"', "device"))


def _own_parts(study: Study) -> set[str]:
    """Which parts are the user's own code: ``layers``, ``loss``, ``augmentation``, ``optimizer``."""
    if study.search is None or study.network is None:
        return {_part(key) for arm in study.expand() for key, _ in own_calls(arm)}
    parts = {"layers"} if any(map(is_module_line, study.network.layers)) else set()
    for part in ("loss", "augmentation", "optimizer"):  # a search's, which may hold placeholders
        given = study.training.get(part)
        if is_own(given) or (isinstance(given, dict) and given.get("own") is not None):
            parts.add(part)
    return parts


def _part(key: str) -> str:
    return "layers" if key.startswith("layers") else key.split(".")[1]
