"""A live Keras Tuner under ``capture``: its searches go on as before, and become studies with ``[search]`` on request.

The space is looked at when ``captured`` is asked for: building networks before would move the notebook's own draws.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ..convert.draft import Draft
from ..errors import Problem
from .hyperparameters import HyperParameters
from .patches import Patches, WhenImported, in_place_of
from .places import place
from .recorder import Recorder
from .searches import Search

_TUNERS = ("Tuner", "RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch")


class TunerRecorder:
    """Records the searches of ``keras_tuner``.

    Args:
        recorder: Of models: those of trials are no models of the notebook's.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.searches: list[Search | Draft] = []
        self._recorder = recorder
        self._patches = Patches()
        self._waiting = WhenImported(["keras_tuner"], self._patch)

    def start(self) -> None:
        """From now on, whether the package is imported already or will be."""
        self._waiting.start()

    def stop(self) -> None:
        """The package as it was before; what was recorded stays."""
        self._waiting.stop()
        self._patches.undo()

    def drafts(self) -> list[Draft]:
        """The searches as studies in the making, each looked at once."""
        for at, search in enumerate(self.searches):
            if isinstance(search, Search):
                with self._recorder.recording_alone() as recorder:
                    self.searches[at] = search.draft(recorder)
        return [draft for draft in self.searches if isinstance(draft, Draft)]

    def _patch(self, module: ModuleType) -> None:
        for name in _TUNERS:
            kind: Any = getattr(module, name, None)
            if kind is not None:
                self._patches.set(kind, "__init__", self._settled(name, kind.__init__))
        for method in ("search", "get_best_models"):
            self._patches.set(module.Tuner, method, self._wrapped(method, getattr(module.Tuner, method)))

    def _settled(self, name: str, original: Callable[..., None]) -> Callable[..., None]:
        """A constructor that keeps what it gets, the outermost one's."""
        signature = inspect.signature(original)

        @in_place_of(original)
        def initialize(this: Any, *args: Any, **kwargs: Any) -> None:
            if "assay_settings" not in vars(this):
                given = dict(signature.bind(this, *args, **kwargs).arguments)
                given.pop(next(iter(signature.parameters)))
                more = given.pop("kwargs", {})
                vars(this)["assay_settings"] = (name, {**given, **more})
            with self._recorder.paused():  # it builds a network to see which hyperparameters there are
                original(this, *args, **kwargs)

        return initialize

    def _wrapped(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @in_place_of(original)
        def method(this: Any, *args: Any, **kwargs: Any) -> Any:
            if name == "search":
                self.searches.append(_search_of(this, place(sys._getframe(1)), args, kwargs))
            with self._recorder.paused():
                return original(this, *args, **kwargs)

        return method


def _search_of(tuner: Any, where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Search | Draft:
    kind, settings = vars(tuner)["assay_settings"]
    settings = {key: value for key, value in settings.items() if key not in ("hypermodel", "oracle")}
    own = next(one for one in type(tuner).__mro__ if "run_trial" in vars(one))
    if not own.__module__.startswith(("keras_tuner", "kerastuner")):
        draft = Draft(str(getattr(tuner, "project_name", "") or "search"), where)
        what = f"{type(tuner).__name__} has a run_trial of its own, which a live search runs and shows nothing of"
        draft.problems = (Problem(what, "run `assay convert --run` on the file: it reads such a search", where),)
        return draft
    known = HyperParameters()
    given = settings.pop("hyperparameters", None)
    for one in getattr(given, "space", ()):
        getattr(known, type(one).__name__)(**one.get_config())
    hypermodel, objective = tuner.hypermodel, settings.pop("objective", None)

    def run_trial(trial: Any, *fit_args: Any, **fit_kwargs: Any) -> Any:
        hp = trial.hyperparameters
        return hypermodel.fit(hp, hypermodel.build(hp), *fit_args, **fit_kwargs)

    return Search(kind, run_trial, objective, settings, where, args, kwargs, known.hypers)
