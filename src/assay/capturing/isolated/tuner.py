"""A module that answers ``import keras_tuner``: what a file searches becomes a study's ``[search]``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from ...convert.dataset import Source
from ...convert.draft import Draft
from ...errors import InputError, Problem, SpecError
from ..places import place
from ..recorder import Recorder
from ..space import Hyper, Sample, space_of
from ..studies import draft_of

MODULES = (
    "keras_tuner", "keras_tuner.tuners", "keras_tuner.engine", "keras_tuner.engine.hyperparameters",
    "keras_tuner.engine.hypermodel", "keras_tuner.engine.tuner", "keras_tuner.engine.oracle", "keras_tuner.oracles",
)  # fmt: skip
_OBJECTIVES = {"val_loss": "validation_loss"}
_OBJECTIVES |= {
    f"val_{name}": "validation_accuracy"
    for name in ("accuracy", "acc", "categorical_accuracy", "sparse_categorical_accuracy", "binary_accuracy")
}
_WITHOUT_EFFECT = (
    "overwrite", "directory", "project_name", "logger", "max_retries_per_trial", "max_consecutive_failed_trials",
    "allow_new_entries", "distribution_strategy", "beta", "alpha", "num_initial_points",
)  # fmt: skip
_SAMPLERS = {"BayesianOptimization": "gp"}


class HyperParameters:
    """``keras_tuner.HyperParameters``: names, bounds and values.

    Args:
        values: Given ones; the others have their defaults.
        hypers: Gets the hyperparameters that are asked for.
        on_use: Called whenever one is asked for.
    """

    def __init__(
        self,
        values: dict[str, Any] | None = None,
        hypers: dict[str, Hyper] | None = None,
        on_use: Callable[[], object] | None = None,
    ) -> None:
        self.given = dict(values or {})
        self.hypers = {} if hypers is None else hypers
        self.values: dict[str, Any] = {}
        self._on_use = on_use
        self._scopes: list[str] = []
        self.tunes_new = True

    def _ask(self, hyper: Hyper) -> Any:
        if self._on_use is not None:
            self._on_use()
        name = hyper.name
        if not self.tunes_new and name not in self.hypers:
            return self.values.setdefault(name, hyper.default)
        hyper = self.hypers.setdefault(name, hyper)  # what was there first counts
        return self.values.setdefault(name, self.given.get(name, hyper.default))

    def _named(self, name: Any) -> str:
        """A name that a study can have."""
        plain = "".join(sign if sign.isalnum() or sign == "_" else "_" for sign in str(name))
        return plain if plain.isidentifier() else f"p_{plain}"

    def Int(  # noqa: N802
        self, name: Any, min_value: int, max_value: int, step: int | None = None, sampling: str | None = None,
        default: int | None = None, **_: Any,
    ) -> int:  # fmt: skip
        low, high = int(min_value), int(max_value)
        start = low if default is None else int(default)
        if sampling in ("log", "reverse_log") and step is not None:  # a factor then
            return int(self._ask(Hyper(self._named(name), _powers(low, high, step), default=start)))
        is_log = sampling == "log" and low > 0
        own = None if is_log else int(step or 1)
        return int(self._ask(Hyper(self._named(name), (), low, high, own, is_log, start)))

    def Float(  # noqa: N802
        self, name: Any, min_value: float, max_value: float, step: float | None = None, sampling: str | None = None,
        default: float | None = None, **_: Any,
    ) -> float:  # fmt: skip
        low, high = float(min_value), float(max_value)
        start = low if default is None else float(default)
        if sampling in ("log", "reverse_log") and step is not None:
            return float(self._ask(Hyper(self._named(name), _powers(low, high, step), default=start)))
        own = float(step) if step is not None else None
        return float(self._ask(Hyper(self._named(name), (), low, high, own, sampling == "log", start)))

    def Choice(self, name: Any, values: Sequence[Any], ordered: Any = None, default: Any = None, **_: Any) -> Any:  # noqa: N802
        every = tuple(values)
        return self._ask(Hyper(self._named(name), every, default=every[0] if default is None else default))

    def Boolean(self, name: Any, default: bool = False, **_: Any) -> bool:  # noqa: N802
        return bool(self._ask(Hyper(self._named(name), (False, True), default=bool(default))))

    def Fixed(self, name: Any, value: Any, **_: Any) -> Any:  # noqa: N802
        return self.values.setdefault(self._named(name), value)

    def get(self, name: Any) -> Any:
        if self._on_use is not None:
            self._on_use()
        plain = self._named(name)
        if plain in self.values:
            return self.values[plain]
        return self.given.get(plain, self.hypers[plain].default)

    __getitem__ = get

    def __contains__(self, name: Any) -> bool:
        return self._named(name) in self.values or self._named(name) in self.hypers

    @contextmanager
    def conditional_scope(self, parent_name: Any, parent_values: Any) -> Iterator[None]:
        yield

    @contextmanager
    def name_scope(self, name: Any) -> Iterator[None]:
        yield

    def copy(self) -> HyperParameters:
        return HyperParameters(self.given, self.hypers, self._on_use)

    def get_config(self) -> dict[str, Any]:
        return {"values": dict(self.values)}


def _powers(low: float, high: float, factor: float) -> tuple[Any, ...]:
    count = int(math.log(high / low) / math.log(factor) + 1e-9) + 1
    return tuple(low * factor**place for place in range(count))


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
        where = place()
        draft = Draft(str(self._settings.get("project_name") or "search"), where)
        self.searches.drafts.append(draft)
        try:
            self._searched(draft, where, args, kwargs)
        except InputError as error:
            draft.problems = tuple(one if one.key or one.file else one.at(key=where) for one in error.problems)
            draft.values, draft.arrays = {}, {}

    def _searched(self, draft: Draft, where: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first: list[Draft] = []
        source: list[Source] = []

        def build(values: dict[str, Any]) -> Sample:
            hp = HyperParameters(values, self._hypers)
            hp.tunes_new = self._settings.get("tune_new_entries", True) is not False
            built = self._drafted(hp, where, args, kwargs, source)
            if built.problems:
                raise SpecError(built.problems)
            first.append(built)
            if built.values["data"] != first[0].values["data"]:
                raise SpecError(Problem("a hyperparameter changes its data", "vary [data] in a study file", where))
            return Sample(
                built.values["network"]["layers"],
                built.values["training"],
                tuple(name for name in hp.values if name in self._hypers),
            )

        space = space_of(build, self._hypers, where)
        search, training, notes = self._search_settings(where, space.training)
        found = first[0]
        if not space.parameters:
            raise SpecError(Problem("its build function has no hyperparameter that is searched", "train it", where))
        network = {**found.values["network"], "layers": space.lines}
        draft.values = {**found.values, "network": network, "training": training}
        draft.values["search"] = {**search, "space": space.parameters}
        draft.arrays, draft.classes = found.arrays, found.classes
        draft.notes = list(dict.fromkeys([*found.notes, *space.notes, *notes]))

    def _drafted(
        self, hp: HyperParameters, where: str, args: tuple[Any, ...], kwargs: dict[str, Any], source: list[Source]
    ) -> Draft:
        recorder = self.searches.recorder
        before = len(recorder.recordings)
        try:
            self.run_trial(SimpleNamespace(hyperparameters=hp, trial_id="0"), *args, **kwargs)
            recordings = recorder.recordings[before:]
        except InputError:
            raise
        except Exception as error:
            what = " ".join(f"its build function fails ({type(error).__name__}: {error})".split())[:200]
            raise SpecError(Problem(what, "mend it", where)) from None
        finally:
            del recorder.recordings[before:]
        fitted = [recording for recording in recordings if recording.fits]
        if len(fitted) != 1:
            raise SpecError(Problem(f"a trial fits {len(fitted)} models", "build and fit one", where))
        draft = draft_of(fitted[0], source=source[0] if source else None)
        if not source and draft.source is not None:
            source.append(draft.source)
        return draft

    def _search_settings(
        self, where: str, training: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        settings, notes = dict(self._settings), list[str]()
        search: dict[str, Any] = {"sampler": _SAMPLERS.get(self.kind, "random")}
        objective = self._objective
        objective = objective[0] if isinstance(objective, list) and len(objective) == 1 else objective
        name = getattr(objective, "name", objective)
        if _OBJECTIVES.get(str(name)) is not None:
            search["objective"] = [_OBJECTIVES[str(name)]]
        elif name is not None:
            notes.append(
                f"{where}: the objective {str(name)[:40]} is not recorded here; validation accuracy is sought."
            )
        if self.kind == "Hyperband":
            training = {**training, "epochs": int(settings.pop("max_epochs", 100))}
            factor = int(settings.pop("factor", 3))
            if training["epochs"] >= factor:
                search["halving"] = {"method": "hyperband", "reduction": factor}
            else:
                notes.append(f"{where}: {training['epochs']} epochs leave no room for halving, which is left out.")
            if (times := settings.pop("hyperband_iterations", 1)) != 1:
                notes.append(
                    f"{where}: hyperband_iterations = {times}; here each bracket is run once ([search] trials)."
                )
        elif (trials := settings.pop("max_trials", 10 if self.kind != "GridSearch" else None)) is not None:
            search["trials"] = int(trials)
        if self.kind == "GridSearch":
            notes.append(f"{where}: a grid is [factors] in a study; here as many candidates are drawn at random.")
        if self.kind == "Tuner":
            notes.append(f"{where}: a tuner of its own draws otherwise; here candidates are drawn at random.")
        if (times := settings.pop("executions_per_trial", 1)) != 1:
            search["replicates"] = int(times)
        if (seed := settings.pop("seed", None)) is not None:
            if isinstance(seed, int) and 0 <= seed < 500:
                search["seed"] = seed
            else:
                notes.append(f"{where}: the seed {seed} is none that a search has (0 to 499).")
        if (most := settings.pop("max_model_size", None)) is not None:
            search["constraints"] = [f"parameters <= {int(most)}"]
        for key, value in settings.items():
            if key not in (*_WITHOUT_EFFECT, "hyperparameters", "tune_new_entries") and value is not None:
                notes.append(f"{where}: the tuner has {key} = {str(value)[:60]}, which has no word here.")
        return search, training, notes


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
