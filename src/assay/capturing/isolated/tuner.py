"""A module that answers ``import keras_tuner``: what a file searches becomes a study's ``[search]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from ...convert.draft import Draft
from ..hyperparameters import HyperParameters
from ..places import place
from ..recorder import Recorder
from ..searches import Search
from ..space import Hyper

MODULES = (
    "keras_tuner", "keras_tuner.tuners", "keras_tuner.engine", "keras_tuner.engine.hyperparameters",
    "keras_tuner.engine.hypermodel", "keras_tuner.engine.tuner", "keras_tuner.engine.oracle", "keras_tuner.oracles",
)  # fmt: skip


class HyperModel:
    """``keras_tuner.HyperModel``."""

    def __init__(self, name: str | None = None, tunable: bool = True) -> None:
        self.name, self.tunable = name, tunable

    def build(self, hp: HyperParameters) -> Any:
        raise NotImplementedError

    def fit(self, hp: HyperParameters, model: Any, *args: Any, **kwargs: Any) -> Any:
        return model.fit(*args, **kwargs)


class _FromFunction(HyperModel):
    def __init__(self, build: Callable[[HyperParameters], Any]) -> None:
        super().__init__()
        self._build = build

    def build(self, hp: HyperParameters) -> Any:
        return self._build(hp)


@dataclass
class Objective:
    """``keras_tuner.Objective``."""

    name: str
    direction: str = "min"


class Searches:
    """The searches of a file.

    Args:
        recorder: Of the models that are built.
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self.drafts: list[Draft] = []
        self.best: set[int] = set()  # recordings of networks with a search's best values
        self.tries: set[int] = set()  # and with default values

    def modules(self) -> Mapping[str, ModuleType]:
        """What answers ``keras_tuner`` and its older name, by module."""
        names = self._names()
        made: dict[str, _Module] = {}
        for package in ("keras_tuner", "kerastuner"):
            for name in MODULES:
                module = _Module(name.replace("keras_tuner", package, 1))
                vars(module).update(names)
                made[module.__name__] = module
        for name, module in made.items():
            outer, _, inner = name.rpartition(".")
            if outer:
                setattr(made[outer], inner, module)
        return made

    def _names(self) -> dict[str, Any]:
        searches = self

        class Own(HyperParameters):
            def __init__(self) -> None:
                super().__init__(on_use=lambda: searches.tries.add(len(searches.recorder.recordings)))

        names: dict[str, Any] = {"HyperParameters": Own, "HyperModel": HyperModel, "Objective": Objective}
        for name in ("Tuner", "RandomSearch", "BayesianOptimization", "Hyperband", "GridSearch"):
            names[name] = type(name, (_Tuner,), {"searches": searches, "kind": name})
        return names

    def best_values(self, hypers: dict[str, Hyper]) -> HyperParameters:
        """What stands for the best values, which only searching would give: the defaults."""
        return HyperParameters({}, hypers, lambda: self.best.add(len(self.recorder.recordings)))


class _Module(ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__dict__["__path__"] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise AttributeError(f"{self.__name__}.{name} is not there: searches of build functions are taken over")


class _Tuner:
    """A tuner whose ``search`` records its space and returns."""

    searches: Searches
    kind: str

    def __init__(self, hypermodel: Any = None, objective: Any = None, *args: Any, **settings: Any) -> None:
        if args:
            settings.setdefault("max_epochs" if self.kind == "Hyperband" else "max_trials", args[0])
        self.hypermodel = hypermodel if hasattr(hypermodel, "build") else _FromFunction(hypermodel)
        self._settings, self._objective = settings, objective
        self._hypers: dict[str, Hyper] = {}
        given = settings.get("hyperparameters")
        if isinstance(given, HyperParameters):
            self._hypers.update(given.hypers)
        self._held = dict(given.values) if isinstance(given, HyperParameters) else {}
        self.oracle = SimpleNamespace(
            get_best_trials=lambda count=1: [self._trial() for _ in range(count)], hyperparameters=self._best()
        )

    def _best(self) -> HyperParameters:
        return self.searches.best_values(self._hypers)

    def _trial(self) -> Any:
        return SimpleNamespace(hyperparameters=self._best(), score=0.0, trial_id="0", metrics=None)

    def search_space_summary(self, *_: Any, **__: Any) -> None:
        pass

    results_summary = reload = save = search_space_summary

    def get_best_hyperparameters(self, num_trials: int = 1) -> list[HyperParameters]:
        return [self._best() for _ in range(int(num_trials))]

    def get_best_models(self, num_models: int = 1) -> list[Any]:
        self.searches.best.add(len(self.searches.recorder.recordings))
        return [self.hypermodel.build(self._best()) for _ in range(int(num_models))]

    def run_trial(self, trial: Any, *args: Any, **kwargs: Any) -> Any:
        """Builds one trial's network and fits it."""
        hp = trial.hyperparameters
        model = self.hypermodel.build(hp)
        fit = getattr(self.hypermodel, "fit", None)
        return fit(hp, model, *args, **kwargs) if fit is not None else model.fit(*args, **kwargs)

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        pass

    def search(self, *args: Any, **kwargs: Any) -> None:
        """Takes the space over; nothing is trained."""
        search = Search(self.kind, self.run_trial, self._objective, self._settings, place(), args, kwargs, self._hypers)
        self.searches.drafts.append(search.draft(self.searches.recorder))


def left_out(recordings: Sequence[Any], searches: Searches) -> tuple[list[Any], list[str]]:
    """The recordings that are networks of their own, and a note on those that a search's values made."""
    kept, notes = [], []
    for at, recording in enumerate(recordings):
        if at in searches.best and searches.drafts:
            where = recording.fits[0].place if recording.fits else recording.compiled.place
            notes.append(f"{where}: it builds the network of the best values; a search trains its finalists itself.")
        elif recording.fits or at not in searches.tries:
            kept.append(recording)
    return kept, list(dict.fromkeys(notes))
