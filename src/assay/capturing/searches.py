"""A search of Keras Tuner as a study with ``[search]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ..convert.dataset import Source
from ..convert.draft import Draft
from ..errors import InputError, Problem, SpecError
from .hyperparameters import HyperParameters
from .recorder import Recorder
from .space import Hyper, Sample, space_of
from .studies import draft_of

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


@dataclass
class Search:
    """One call of a tuner's ``search``.

    Args:
        kind: The tuner's class: ``RandomSearch``, ``BayesianOptimization``, ``Hyperband``, ``GridSearch``, ``Tuner``.
        run_trial: Builds one trial's network and fits it; called as a tuner's own.
        objective: As the tuner got it.
        settings: Of the tuner, by name.
        place: Of the call.
        args, kwargs: What ``search`` hands on to ``fit``.
        hypers: Hyperparameters that are known beforehand.
    """

    kind: str
    run_trial: Callable[..., Any]
    objective: Any
    settings: Mapping[str, Any]
    place: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    hypers: dict[str, Hyper] = field(default_factory=dict)

    def draft(self, recorder: Recorder) -> Draft:
        """The study, or why there is none. Networks are built and not trained.

        Args:
            recorder: Records what a trial builds and fits; its ``fit`` returns at once.
        """
        draft = Draft(str(self.settings.get("project_name") or "search"), self.place)
        try:
            self._fill(draft, recorder)
        except InputError as error:
            draft.problems = tuple(one if one.key or one.file else one.at(key=self.place) for one in error.problems)
            draft.values, draft.arrays = {}, {}
        return draft

    def _fill(self, draft: Draft, recorder: Recorder) -> None:
        where = self.place
        first: list[Draft] = []
        source: list[Source] = []

        def build(values: dict[str, Any]) -> Sample:
            hp = HyperParameters(values, self.hypers)
            hp.tunes_new = self.settings.get("tune_new_entries", True) is not False
            built = self._drafted(hp, recorder, source)
            if built.problems:
                raise SpecError(built.problems)
            first.append(built)
            if built.values["data"] != first[0].values["data"]:
                raise SpecError(Problem("a hyperparameter changes its data", "vary [data] in a study file", where))
            return Sample(
                built.values["network"]["layers"],
                built.values["training"],
                tuple(name for name in hp.values if name in self.hypers),
            )

        space = space_of(build, self.hypers, where)
        search, training, notes = self._search_settings(where, space.training)
        drafted = first[0]
        if not space.parameters:
            raise SpecError(Problem("its build function has no hyperparameter that is searched", "train it", where))
        network = {**drafted.values["network"], "layers": space.lines}
        draft.values = {**drafted.values, "network": network, "training": training}
        draft.values["search"] = {**search, "space": space.parameters}
        draft.arrays, draft.classes = drafted.arrays, drafted.classes
        draft.notes = list(dict.fromkeys([*drafted.notes, *space.notes, *notes]))

    def _drafted(self, hp: HyperParameters, recorder: Recorder, source: list[Source]) -> Draft:
        where = self.place
        before = len(recorder.recordings)
        try:
            self.run_trial(SimpleNamespace(hyperparameters=hp, trial_id="0"), *self.args, **self.kwargs)
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
        settings, notes = dict(self.settings), list[str]()
        search: dict[str, Any] = {"sampler": _SAMPLERS.get(self.kind, "random")}
        objective = self.objective
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
