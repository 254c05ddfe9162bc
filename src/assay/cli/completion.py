"""What the Tab key offers behind a command: studies, study files, arms, pictures, data sets.

Whatever fails gives nothing: a shell that completes a word has no place for messages.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

Completion = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _offered(values: Callable[[click.Context], Iterable[str]], *, is_list: bool = False) -> Completion:
    """The values that begin as the word does; of a list between commas, as its last part does."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",") if is_list else ("", "", incomplete)
        try:
            return [
                CompletionItem(shlex.quote(before + comma + value))
                for value in dict.fromkeys(values(ctx))
                if value.startswith(last)
            ]
        except Exception:
            return []

    return complete


def _stored(ctx: click.Context) -> Iterable[str]:
    from ..api import studies

    return studies(ctx.params.get("store"))


def _files(ctx: click.Context) -> Iterable[str]:
    from ..api import shipped

    return [*sorted(str(path) for path in Path().glob("*.toml")), *shipped()]


def _design(ctx: click.Context) -> Any:
    """The study that the words before name: a study file, or one of the store."""
    from ..api import load, result
    from .options import study_name

    given = next((ctx.params[key] for key in ("study", "run") if ctx.params.get(key)), None)
    if given is not None and given.endswith(".toml"):
        return load(given)
    store = ctx.params.get("store")
    return result(study_name(given, store), store=store).brief.design


def _arms(ctx: click.Context) -> Iterable[str]:
    return [arm.name for arm in _design(ctx).expand()]


def _arms_and_factors(ctx: click.Context) -> Iterable[str]:
    design = _design(ctx)
    return [*design.factors, *(arm.name for arm in design.expand())]


def _pictures(ctx: click.Context) -> Iterable[str]:
    from ..results.explanations import MAKERS

    return MAKERS


def _data_sets(ctx: click.Context) -> Iterable[str]:
    from ..data import known

    return known()


studies = _offered(_stored)
study_files = _offered(_files)
arms = _offered(_arms)
arms_and_factors = _offered(_arms_and_factors)
pictures = _offered(_pictures, is_list=True)
data_sets = _offered(_data_sets)
