"""What has changed in a search's file since the search began, and whether it is still the same search."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import Problem, SpecError
from ..spec import Study
from .halving import design_of

# More of them, or another report: what has been decided stays as it is.
HARMLESS = ("question", "device", "seeds.count", "seeds.start", "seeds.margin", "search.trials", "search.finalists")


def refuse_changes(before: Study, now: Study, *, num_trials: int) -> None:
    """Raise where a search's file asks for another search than the one that is under way.

    Args:
        before: As it was begun.
        now: As it is.
        num_trials: Trials that there are.

    Raises:
        SpecError: It says what has changed, each with its value before.
    """
    problems = [
        Problem(
            f"the search has begun with {_short(old)}, and the file says {_short(new)}",
            f'put it back to go on, or give the new search a name of its own (name = "{now.name}-2")',
            key,
        )
        for key, old, new in _differences(_identity(before), _identity(now))
    ]
    is_changed = now.search is not None and before.search is not None and now.search.trials != before.search.trials
    if is_changed and not problems and (wanted := design_of(now).num_trials) < num_trials:
        what = f"{num_trials} trials have been proposed, and the file asks for {wanted}"
        problems.append(Problem(what, f"give {num_trials} or more", "search.trials"))
    if problems:
        raise SpecError(problems)


def _identity(study: Study) -> dict[str, Any]:
    values = study.model_dump(mode="json", exclude_none=True)
    for key in HARMLESS:
        *owners, last = key.split(".")
        table: Any = values
        for owner in owners:
            table = table.get(owner, {})
        table.pop(last, None)
    values["data"] = {"where": study.data.name or "path", **study.data.identity()}
    return values


def _differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*before, *now]):
            yield from _differences(before.get(name), now.get(name), f"{key}.{name}" if key else str(name))
        is_ordered = key == "search.space" or key.endswith(".choices")  # in whose order values are drawn
        if before == now and list(before) != list(now) and is_ordered:
            yield key, list(before), list(now)
    elif before != now:
        yield key, before, now


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
