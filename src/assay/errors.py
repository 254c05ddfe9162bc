"""The exception tree: every error that Assay raises on purpose.

    AssayError
    ├── InputError             what was asked for cannot be done; the CLI exits with 2
    │   ├── SpecError          a study file or spec breaks a rule
    │   │   └── NotInstalled   an optional package that this needs is not there
    │   ├── DataError          a data set is missing, damaged or not what the study expects
    │   ├── NoCode             the code of a module of one's own is not at hand, or has changed
    │   ├── StoreError         the store cannot be used
    │   │   ├── NoStore        there is no store in the folder
    │   │   ├── NoSuchStudy    it holds no study of that name
    │   │   ├── NoSuchRun      it holds no run with that id
    │   │   ├── StoreBusy      another process is writing to it
    │   │   ├── StoreMoved     it was moved or deleted while it was written
    │   │   └── StoreTooNew    a newer version of Assay wrote it
    │   ├── ClusterError       no cluster can be reached where one was asked for, or it cannot train
    │   └── TooFewSeeds        an estimate was asked for from too few scores (also a ValueError)
    ├── RunError               one run failed; recorded in its row while the study goes on
    │   └── Diverged           the loss stopped being a number
    ├── DiskFull               nothing more can be written
    ├── ClusterGone            the cluster that trained a study does not answer any more
    └── Interrupted            the user stopped the study; the CLI exits with 130

A library error's text is for the person who reads it: what, where, the rule, the fix.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

_LONGEST = 1200  # characters of what a sentence quotes or lists


@dataclass(frozen=True)
class Problem:
    """One broken rule, as one sentence. ``str(problem)`` gives place, problem and remedy.

    Args:
        what: What is wrong, with the value that was given.
        fix: What to do about it.
        key: The dotted key in the study file, such as ``network.layers[3]``.
        file: The file that holds it.
        line: The line in that file, from 1.
        remedy: Values of ``[data]`` that solve it, for ``assay data show`` to propose.
    """

    what: str
    fix: str = ""
    key: str = ""
    file: str = ""
    line: int | None = None
    remedy: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = ", ".join(part for part in (place, shortened(self.key)) if part)
        what = shortened(self.what)
        sentence = f"{where}: {what}" if where else what
        sentence_with_fix = f"{sentence}; {shortened(self.fix)}" if self.fix else sentence
        return sentence_with_fix if sentence_with_fix.endswith("?") else f"{sentence_with_fix}."

    def at(self, *, key: str = "", file: str = "", line: int | None = None) -> Problem:
        """The same problem with a place where none was known."""
        return replace(
            self,
            key=self.key or key,
            file=self.file or file,
            line=self.line if self.line is not None else line,
        )


def shortened(text: str) -> str:
    """A text that holds something endless, such as a layer's word of a million letters, without its middle."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"


class AssayError(Exception):
    """The base of every error that Assay raises on purpose."""


class InputError(AssayError):
    """Input breaks one or more rules. ``problems`` holds a :class:`Problem` for each."""

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems.rstrip("."))
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SpecError(InputError):
    """A study file or spec breaks a rule."""


class DataError(InputError):
    """A data set is missing, damaged, or not what the study expects."""


class NoCode(InputError):
    """The code of a module of your own is not on this machine, or has changed."""


class NotInstalled(SpecError):
    """An optional package is needed that is not installed or cannot be imported."""


class StoreError(InputError):
    """The store cannot be used."""


class NoStore(StoreError):
    """The folder holds no store."""


class NoSuchStudy(StoreError):
    """The store holds no study of this name."""


class NoSuchRun(StoreError):
    """The store holds no run whose id begins like this."""


class StoreBusy(StoreError):
    """Another process is writing to the store."""


class StoreMoved(StoreError):
    """The store was moved or deleted while it was written. Finished runs are kept at its new place."""


class StoreTooNew(StoreError):
    """A newer version of Assay wrote the store."""


class ClusterError(InputError):
    """A cluster cannot be reached, or it cannot train."""


class TooFewSeeds(InputError, ValueError):
    """There are too few scores for an estimate."""


class RunError(AssayError):
    """One run failed. ``reason`` gives the cause, ``advice`` what to try next. Other runs continue."""

    state: Literal["failed", "diverged", "out of memory"] = "failed"

    def __init__(self, reason: str, advice: str = "") -> None:
        self.reason = reason
        self.advice = advice
        super().__init__(f"{reason}; {advice}" if advice else reason)


class Diverged(RunError):
    """The loss became infinite or NaN."""

    state = "diverged"


class DiskFull(AssayError):
    """There is no space left. Finished runs are kept."""


class ClusterGone(AssayError):
    """The cluster that trained a study no longer answers. Results that it had returned are kept."""


class Interrupted(AssayError):
    """The user stopped the study. Finished epochs are kept."""


def nearest(word: str, known: Sequence[str]) -> str:
    """A fix that names the known word nearest to a mistyped one, or lists what is known."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return "known: " + ", ".join(known)
