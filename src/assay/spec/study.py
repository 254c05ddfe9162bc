"""A study: a question and its design."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from ..errors import Problem, SpecError, nearest
from .arm import Arm as Arm
from .arm import ArmTemplate as ArmTemplate
from .arm import candidate_of, settings_of_training
from .arm_search import ArmSearch, arms_with_objective, first_values, search_name
from .base import Problems, Spec, dotted, parts_of
from .bounds import size_problems
from .data import PER_CLASS, PER_CLASS_FIX, Data
from .factors import levels_of, placeholders, source_path, substitute
from .metric import ACCURACY, metric_as_files_write_it, metric_name, objective_of, with_metric
from .network import Network, plain, words_in
from .search import FRESH, Search, Value
from .searched import problems_of_search
from .seeds import Seeds
from .teachers import with_teachers
from .training import Training

Device = Literal["cpu", "cuda"]
Placement = Literal["auto", "cpu", "cuda"]
Claim = Literal["new images", "these images", "new training sets"]
_STANDARD = Problem(
    'scaling = "standard" subtracts a mean, which would round the images themselves, and training is in whole numbers',
    'give scaling = "unit", or leave quantization out',
    "data.scaling",
)
DATA = "data"  # what the data sets of a study on several are called among its arms' levels


class Study(Spec):
    """A question, and the design that answers it: data, arms, training and seeds.

    It holds what a study file holds, under the same keys (docs/reference/study-file.md). Nested parts may be objects or
    plain tables. The whole design is checked at construction.

    Args:
        data: What to learn from.
        name: The name under which the store keeps the study: letters, digits, ``_``, ``-`` and ``.``, at most 80. A
            study file's own name by default.
        question: What the study asks, as one sentence.
        network: The layers that all arms share, with a ``{factor}`` where they differ.
        factors: What is varied: for each factor a list of levels, or a table of named levels. Factors are crossed.
        arms: Arms that share no network. Each may override keys of ``training``.
        training: A :class:`Training`, or a table of its settings. Values of a table may be ``"{factor}"``.
        seeds: The replicates of each arm.
        claim: What verdicts generalize to: ``"new images"`` of the same kind (the default), ``"these images"``, which
            the networks were scored on, or ``"new training sets"``, if seeds redraw the split.
        metric: The measure of verdicts and of ``seeds.stop``; ``accuracy`` by default. Others are
            ``balanced_accuracy``, ``macro_f1``, ``macro_auc``, ``log_loss`` and more, or ``"FILE.py:FUNCTION"`` of your
            own (docs/explanation/statistics.md). Early stopping and a search use it where they name ``metric``.
        search: Makes the study a search. Its arms are then the finalists.
        device: Where runs are trained: ``"cpu"``, ``"cuda"``, or ``"auto"``, a CUDA device if there is one. It is no
            part of a run's identity; each run's record names its device.

    Raises:
        SpecError: One or more rules are broken; ``problems`` holds each.

    Example:
        >>> study = assay.Study(
        ...     name="width",
        ...     question="Do more units help?",
        ...     data={"name": "digits", "validation": 0.2},
        ...     network={"layers": ["flatten", "dense {units} relu", "dense classes softmax"]},
        ...     factors={"units": [8, 32]},
        ...     training={"epochs": 5, "optimizer": "adam"},
        ...     seeds={"count": 6},
        ... )
        >>> [arm.name for arm in study.expand()]
        ['units=8', 'units=32']
    """

    name: str = Field(default="study", pattern=r"^[\w.-]+$", max_length=80)
    question: str = ""
    data: Data
    network: Network | None = None
    factors: dict[str, Any] = {}
    arms: tuple[ArmTemplate, ...] = ()
    training: dict[str, Any] = {}
    seeds: Seeds = Seeds()
    claim: Claim | None = None
    metric: str | None = Field(default=None, json_schema_extra=metric_as_files_write_it)
    search: Search | None = None
    device: Placement = "cpu"

    @property
    def claimed(self) -> Claim:
        """What verdicts generalize to: ``claim``, or ``"new images"``."""
        return self.claim or "new images"

    @property
    def measured(self) -> str:
        """The name of the measure that verdicts are of: ``metric``, or ``"accuracy"``."""
        return self.metric or ACCURACY

    @field_validator("metric")
    @classmethod
    def _is_a_measure(cls, given: str | None) -> str | None:
        if given is None:
            return None
        try:
            name = metric_name(given, "")
        except SpecError as error:
            raise Problems(error.problems) from None
        return None if name == ACCURACY else name

    @field_validator("training", mode="before")
    @classmethod
    def _training_is_settings(cls, given: Any) -> Any:
        return settings_of_training(given)

    @model_validator(mode="before")
    @classmethod
    def _search_seeks_the_metric(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        search, metric = values.get("search"), values.get("metric")
        try:
            name = None if metric is None else metric_name(metric)
        except SpecError:  # reported where the metric is checked
            return values
        if "arms" in values:
            values = {**values, "arms": arms_with_objective(values["arms"], name)}
        if search is None:
            return values
        if isinstance(search, Search):
            given = search.objective if "objective" in search.model_fields_set else None
            objective = objective_of(given, name)
            if objective is None:
                return values
            return {**values, "search": search.model_copy(update={"objective": objective})}
        if not isinstance(search, dict):
            return values
        objective = objective_of(search.get("objective"), name)
        return {**values, "search": search if objective is None else {**search, "objective": objective}}

    @field_validator("name")
    @classmethod
    def _name_is_no_folder(cls, name: str) -> str:
        if not name.strip("."):
            raise Problems([Problem(f'"{name}" is no name for a study', "use letters and digits too")])
        return name

    @field_validator("factors")
    @classmethod
    def _levels_are_usable(cls, factors: dict[str, Any]) -> dict[str, Any]:
        problems = []
        for name, factor in factors.items():
            if not name.isidentifier():
                problems.append(Problem(f'"{name}" is not a name', "use letters, digits and _", name))
            if isinstance(factor, dict):
                fine = len(factor) > 0
            elif isinstance(factor, list | tuple):
                fine = len(factor) > 0 and all(isinstance(level, bool | int | float | str) for level in factor)
            else:
                fine = False
            if not fine:
                is_empty = isinstance(factor, dict | list | tuple) and not factor
                problems.append(
                    Problem(
                        "this list is empty" if is_empty else f"got {factor!r}",
                        'give a list of values, or named levels such as { none = [], some = ["dropout 0.1"] }',
                        name,
                    )
                )
            elif len(levels_of(factor)) < len(factor):
                problems.append(Problem("a level is listed twice", "list each level once", name))
        if problems:
            raise Problems(problems)
        return factors

    @model_validator(mode="before")
    @classmethod
    def _data_is_a_factor(cls, values: Any) -> Any:
        return data_from_factor(values)

    @model_validator(mode="after")
    def _design_is_whole(self) -> Self:
        if self.data.sets is not None:
            self._check_several()
        if self.data.validation == "none":
            fix = "set some aside, such as 0.1; assay reveal --retrain then trains a chosen arm on all"
            raise Problems([Problem("a study needs validation images to choose by", fix, "data.validation")])
        if self.claim == "new training sets" and not self._redraws_training():
            what = "new training sets cannot be claimed: every seed trains on the same images"
            fix = 'let the split vary (a share such as validation = 0.1, and "split" in vary), or claim "new images"'
            raise Problems([Problem(what, fix, "claim")])
        if self.search is not None:
            if self.network is None or self.arms or self.factors:
                what = "a search has one network, with placeholders for the space's parameters"
                raise Problems([Problem(what, "give [network], and no [[arms]] and no [factors]", "search")])
            if placeholders(self.data.training):
                what = "a search has one number of training images"
                raise Problems([Problem(what, 'give it, such as "100 per class"', "data.training")])
            problems = problems_of_search(
                self.search, network=self.network, training=self.training, seeds=self.seeds, data=self.data,
                planned_epochs=self.planned_epochs,
            )  # fmt: skip
            if problems:
                raise Problems(problems)
            return self
        arms = self.expand()
        if self.seeds.stop and self.data.num_folds:
            what = "folds are not independent, so looks at them cannot be paid for"
            raise Problems([Problem(what, "give count instead of stop, or a share of validation images", "seeds.stop")])
        if self.seeds.stop and len(arms) < 2:
            what = "one arm alone is never decided"
            raise Problems([Problem(what, "add an arm or a factor, or give count instead of stop", "seeds.stop")])
        return self

    def _check_several(self) -> None:
        """What a study on several data sets cannot have.

        Raises:
            Problems: It has that.
        """
        problems = []
        if self.search is not None:
            problems.append(
                Problem("a search has one data set", "search on one, and compare finalists on all", "search")
            )
        if self.seeds.stop:
            what = "arms stop by themselves on one data set only"
            problems.append(Problem(what, "give count instead of stop", "seeds.stop"))
        if self.measured != "accuracy":
            what = f'verdicts on several data sets go by accuracy, and metric is "{self.measured}"'
            problems.append(Problem(what, "leave metric out, or make a study of each data set", "metric"))
        if DATA in self.factors:
            what = f'"{DATA}" is what the data sets are called, so it is no name for another factor'
            problems.append(Problem(what, "give the factor another name", f"factors.{DATA}"))
        if problems:
            raise Problems(problems)

    def _redraws_training(self) -> bool:
        """Whether a seed changes which images are trained on, on every data set."""
        all_data = self.data.members or (self.data,)
        return all(one.num_folds is not None or (one.is_drawn and "split" in self.seeds.vary) for one in all_data)

    def data_of(self, arm: Arm) -> Data:
        """Return the data that an arm trains on. It differs between arms only if the number of images is a factor.

        Args:
            arm: An arm of :meth:`expand`.
        """
        return self.data.learning_from(arm.images)

    def on(self, name: str) -> Study:
        """Return the study on one of its data sets. Its arms keep their names, without the data set.

        Args:
            name: The data set's name.
        """
        return self.model_copy(update={"data": self.data.on(name)})

    @property
    def parts(self) -> dict[str, Study]:
        """The study on each of several data sets, by the data set's name. Empty for a study on one data set."""
        return {member.name: self.model_copy(update={"data": member}) for member in self.data.members}

    def expand(self) -> tuple[Arm, ...]:
        """Return the arms: every listed arm crossed with every combination of factor levels.

        On several data sets there is one arm for each of them, with ``data=NAME`` before its name. A search has no arms
        until its finalists are known.

        Raises:
            SpecError: A placeholder names no factor, a factor is not used, or an arm breaks a rule.

        Example:
            >>> study = assay.load("first-verdict")
            >>> study.expand()[1].layers
            ('conv 16 3x3 relu', 'maxpool 2', 'flatten', 'dense classes softmax')
        """
        arms = self._arms_of_one()
        names = [member.name for member in self.data.members]
        return tuple(on_data(arm, name, self.name) for name in names for arm in arms) if names else arms

    def _arms_of_one(self) -> tuple[Arm, ...]:
        """The arms on one data set."""
        if self.search is not None:
            return ()
        sizes = [len(factor) for factor in self.factors.values()]
        seeds, folds = self.seeds.planned, self.data.num_folds or 1
        num_arms = (len(self.arms) or 1) * max(len(self.data.sets or ()), 1)
        if problems := size_problems(num_arms, sizes, num_seeds=seeds, num_folds=folds):
            raise Problems(problems)
        templates = self._templates(problems)
        for template in templates:
            problems += self._check_placeholders(template)
        if problems and not placeholders(self.training):  # what can be checked without the levels still is
            problems += self._check_training()
        if problems:
            raise Problems(problems)
        if (searched := [template for _, template in templates if template.search is not None]) and self.factors:
            what = f'arm "{searched[0].name}" is a search, and factors are crossed with every arm'
            raise Problems([Problem(what, "list the other arms instead of factors", "factors")])
        combinations = [
            dict(zip(self.factors, chosen, strict=True))
            for chosen in itertools.product(*(levels_of(factor) for factor in self.factors.values()))
        ]
        arms: dict[str, Arm] = {}
        places: dict[str, str] = {}
        broken: dict[str, Problem] = {}
        for template, names in itertools.product(templates, combinations):
            try:
                arm = self._arm(template, names)
            except SpecError as error:
                for problem in error.problems:
                    broken.setdefault(problem.key + problem.what, problem)
            except KeyError as error:
                broken.setdefault(str(error), Problem(f"{error.args[0]} is no field of its level", "", "factors"))
            else:
                if arm.name in arms:
                    broken[arm.name] = Problem(f'two arms are called "{arm.name}"', "give each its own name", "arms")
                arms[arm.name] = arm
                places[arm.name] = self._place_of(template[1], "distillation")
        if self._subtracts_a_mean and any(arm.training.quantization is not None for arm in arms.values()):
            broken["scaling"] = _STANDARD
        if broken:
            raise Problems(broken.values())
        return with_teachers(arms, study=self.name, seeds=self.seeds, data=self.data, places=places)

    @property
    def _subtracts_a_mean(self) -> bool:
        return self.data.scaling == "standard"

    def candidate(self, name: str, chosen: Mapping[str, Value]) -> Arm:
        """Return the arm that a search trains for given values of its parameters.

        Args:
            name: The arm's name.
            chosen: Values by parameter; for a choice, the name of the level.

        Raises:
            SpecError: The study is not a search, or the values make no valid arm.
        """
        if self.search is None or self.network is None:
            raise SpecError(Problem(f'study "{self.name}" is no search', "add [search]"))
        parts = ArmSearch.model_construct(
            search=self.search,
            layers=self.network.layers,
            training=dict(self.training),
            base=self.network.base,
            metric=self.metric,
        )
        arm = candidate_of(name, parts, chosen)
        if self._subtracts_a_mean and arm.training.quantization is not None:
            raise SpecError(_STANDARD)
        return arm

    def searched(self, arm: Arm, seed: int) -> Study:
        """Return the search of one seed of an arm as a study of its own, for an arm that is itself a search.

        Args:
            arm: An arm of :meth:`expand`.
            seed: The seed.

        Raises:
            SpecError: The arm is not a search, or the search breaks a rule.
        """
        if arm.search is None:
            raise SpecError(Problem(f'arm "{arm.name}" is no search', "add search to it"))
        return Study(
            name=search_name(self.name, arm.name, seed),
            question=f'The search of arm "{arm.name}", seed {seed}, of study "{self.name}"',
            data=self.data,
            network=Network(layers=arm.search.layers, base=arm.search.base),
            training=arm.search.training,
            seeds=Seeds(count=1, vary=self.seeds.vary),
            metric=self.metric,
            search=arm.search.search_of(seed),
            device=self.device,
        )

    @property
    def first_fresh_seed(self) -> int:
        """The first seed of a search's finalists: ``seeds.start``, or 1000. The search's own seeds lie below it."""
        return self.seeds.start or FRESH

    @property
    def planned_epochs(self) -> int:
        """The most epochs that a run may take by ``training``, unless they are a parameter of a search."""
        given: dict[str, Any] = {key: self.training[key] for key in ("epochs", "stop_after") if key in self.training}
        try:
            return Training.of(given).planned_epochs
        except SpecError:  # reported where [training] is checked
            return Training().planned_epochs

    def with_seeds(self, count: int) -> Study:
        """Return the same study with another number of seeds.

        Args:
            count: Seeds for each arm, 1 or more. Raising it adds runs; finished runs are kept.

        Raises:
            SpecError: The count is below 1, or the study has ``stop = "decided"``, whose numbers must be fixed
                beforehand.

        Example:
            >>> assay.load("first-verdict").with_seeds(20).seeds.count
            20
        """
        if self.seeds.stop == "decided":
            raise SpecError(
                Problem(
                    f"got {count} seeds for a study that stops when decided",
                    "change min and max under [seeds] before it runs",
                    "seeds",
                )
            )
        seeds = Seeds.of({**self.seeds.model_dump(exclude_none=True), "count": count})
        return self.model_copy(update={"seeds": seeds})

    def _repr_html_(self) -> str:
        from ..markup import facts

        arms = self.expand()
        shown = ", ".join(arm.name for arm in arms[:12]) + (" ..." if len(arms) > 12 else "")
        factors = [(f"factor {name}", ", ".join(map(str, levels))) for name, levels in self.factors.items()]
        pairs = [
            ("study", self.name),
            ("data", ", ".join(member.name for member in self.data.members) or self.data.name or self.data.path),
            *factors,
            (f"{len(arms)} arms" if len(arms) > 1 else "arm", shown),
            ("seeds", _seeds_in_words(self.seeds)),
            (
                "runs",
                "" if self.seeds.stop else len(arms) * self.seeds.planned * (self.data.num_folds or 1),
            ),
        ]
        return facts(self.question, pairs)

    def _templates(self, problems: list[Problem]) -> list[tuple[str, ArmTemplate]]:
        """The listed arms (or the one shared network), each with the key that its layers stand under."""
        if not self.arms:
            if self.network is None:
                problems.append(Problem("there is no network", "add [network] with layers, or [[arms]]", "network"))
                return []
            return [("network", ArmTemplate(name="-", layers=self.network.layers, base=self.network.base))]
        templates = []
        for index, arm in enumerate(self.arms):
            if arm.layers:
                templates.append((f"arms[{index}]", arm))
            elif self.network is not None:
                base = self.network.base if arm.base is None else arm.base
                templates.append(("network", arm.model_copy(update={"layers": self.network.layers, "base": base})))
            else:
                problems.append(
                    Problem(f'arm "{arm.name}" has no layers', "give it layers or add [network]", f"arms[{index}]")
                )
        return templates

    def _check_placeholders(self, template: tuple[str, ArmTemplate]) -> list[Problem]:
        key, arm = template
        if arm.search is not None:  # checked as a search of its own
            return []
        problems = []
        layers = plain(arm.layers)
        for place, text in words_in(layers):
            for name in sorted(placeholders(text) - set(self.factors)):
                fix = nearest(name, list(self.factors)) if self.factors else f"add {name} to [factors]"
                problems.append(Problem(f'"{{{name}}}" names no factor', fix, f"{key}.layers{place}"))
        for name in sorted(placeholders(arm.base) - set(self.factors)):
            fix = nearest(name, list(self.factors)) if self.factors else f"add {name} to [factors]"
            problems.append(Problem(f'"{{{name}}}" names no factor', fix, f"{key}.base"))
        training = {**self.training, **arm.training}
        for field, value in training.items():
            for name in sorted(placeholders(value) - set(self.factors)):
                problems.append(
                    Problem(f'"{{{name}}}" names no factor', f"add {name} to [factors]", f"training.{field}")
                )
        sizes = placeholders(self.data.training)
        for name in sorted(sizes - set(self.factors)):
            fix = nearest(name, list(self.factors)) if self.factors else f"add {name} to [factors]"
            problems.append(Problem(f'"{{{name}}}" names no factor', fix, "data.training"))
        unused = set(self.factors) - placeholders([*layers, training, arm.base]) - sizes
        for name in sorted(unused):
            owner = f' of arm "{arm.name}"' if self.arms else ""
            problems.append(
                Problem(
                    f"no placeholder{owner} uses this factor",
                    f'write "{{{name}}}" in a layer, in the base, in [training] or in [data] training',
                    f"factors.{name}",
                )
            )
        return problems

    def _check_training(self) -> list[Problem]:
        try:
            Training.of(dict(self.training))
        except SpecError as error:
            return [replace(problem, key=f"training.{problem.key}") for problem in error.problems]
        return []

    def _arm(self, template: tuple[str, ArmTemplate], names: dict[str, str]) -> Arm:
        key, arm = template
        if arm.search is not None:
            return self._arm_of_search(arm)
        levels = {factor: levels_of(self.factors[factor])[name] for factor, name in names.items()}
        parts = [arm.name] if self.arms else []
        parts += [f"{factor}={name}" for factor, name in names.items()]
        values = with_metric(substitute({**self.training, **arm.training}, levels), self.metric)
        try:
            training = Training.of(values)
        except SpecError as error:
            raise SpecError(
                replace(problem, key=f"{self._place_of(arm, problem.key)}.{problem.key}") for problem in error.problems
            ) from None
        layers = substitute(plain(arm.layers), levels)
        base = substitute(arm.base, levels)
        base = None if base in (None, "none") else base
        try:
            return Arm(
                name=", ".join(parts) or self.name, layers=layers, training=training, levels=names, base=base,
                images=self._images(levels),
            )  # fmt: skip
        except SpecError as error:
            raise SpecError(
                replace(problem, key=_in_template(arm, key, problem.key, levels))
                if problem.key.startswith("layers")
                else replace(problem, key=f"{_owner_of_base(self, key, arm)}.{problem.key}")
                if problem.key.startswith("base")
                else problem
                for problem in error.problems
            ) from None

    def _place_of(self, arm: ArmTemplate, key: str) -> str:
        """Which table a training key was written in: the arm's own, or the study's."""
        if not self.arms or key.split(".")[0].split("[")[0] not in arm.training:
            return "training"
        pairs = [(other.name, other.training) for other in self.arms]
        return f"arms[{pairs.index((arm.name, arm.training))}].training"

    def _arm_of_search(self, arm: ArmTemplate) -> Arm:
        """An arm that is a search, with one candidate of its space.

        Raises:
            SpecError: Its search breaks a rule, or the study has what no such arm can stand in.
        """
        if arm.search is None:
            raise ValueError(arm.name)
        place = f"arms[{[other.name for other in self.arms].index(arm.name)}]"
        if self.seeds.stop:
            what = f'arm "{arm.name}" is a search for each seed, and arms stop by themselves'
            raise SpecError(Problem(what, "give count instead of stop", "seeds.stop"))
        if self.data.sets is not None:
            what = f'arm "{arm.name}" is a search, which has one data set'
            raise SpecError(Problem(what, "make a study of each data set", "data.name"))
        training = {**self.training, **arm.training}
        parts = ArmSearch(search=arm.search, layers=arm.layers, training=training, base=arm.base, metric=self.metric)
        try:
            one = candidate_of(arm.name, parts, first_values(arm.search))
            whole = one.model_copy(update={"search": parts, "levels": {}})
            self.searched(whole, self.seeds.start)
        except SpecError as error:
            raise SpecError(
                problem
                if problem.key.startswith(("data.", "seeds."))
                else replace(problem, key=f"{place}.{problem.key.removeprefix('network.')}")
                for problem in error.problems
            ) from None
        return whole

    def _images(self, levels: Mapping[str, Any]) -> str | None:
        """How many images of each class an arm of these levels learns from, where that is a factor.

        Raises:
            SpecError: It is no number of images.
        """
        (name,) = placeholders(self.data.training) or {""}
        if not name:
            return None
        images = substitute(self.data.training, levels)
        if not isinstance(images, str) or not PER_CLASS.fullmatch(images):
            raise SpecError(Problem(f"got {images!r} for [data] training", PER_CLASS_FIX, f"factors.{name}"))
        return images

    def source_key(self, index: int, key: str) -> str:
        """Return the key of the study file that holds a given key of an expanded arm.

        Args:
            index: The arm's index in :meth:`expand`.
            key: The key within the arm, such as ``layers[2].residual[0]``.
        """
        templates, arms = self._templates([]), self._arms_of_one()
        index %= len(arms)
        arm = arms[index]
        owner, template = templates[index * len(templates) // len(arms)]
        if key.startswith("base"):
            return f"{_owner_of_base(self, owner, template)}.{key}"
        levels = {factor: levels_of(self.factors[factor])[name] for factor, name in arm.levels.items()}
        return _in_template(template, owner, key, levels)


def _seeds_in_words(seeds: Seeds) -> str:
    if seeds.stop is None:
        return str(seeds.planned)
    return f"{seeds.first} to {seeds.planned}, until {'decided' if seeds.stop == 'decided' else 'the best is known'}"


def data_from_factor(values: Any) -> Any:
    """A study's values with ``[factors] data = [...]`` and ``name = "{data}"`` under ``[data]`` as a list of data sets.

    Raises:
        Problems: A placeholder names no factor, or several do.
    """
    if not isinstance(values, dict) or not isinstance(values.get("data"), dict):
        return values
    data, factors = dict(values["data"]), values.get("factors", {})
    varied = {key: value for key, value in data.items() if placeholders(value)}
    # How many images are learned from may be a factor of one data set.
    if not placeholders({key: value for key, value in varied.items() if key != "training"}) & placeholders(
        varied.get("training")
    ):
        varied.pop("training", None)
    if not varied or not isinstance(factors, dict):
        return values
    used = sorted(placeholders(varied))
    if len(used) > 1 or used[0] not in factors:
        unknown = next((name for name in used if name not in factors), "")
        what = f'"{{{unknown}}}" names no factor' if unknown else "two factors stand for the data"
        fix = nearest(unknown, list(factors)) if unknown and factors else "let one factor list the data sets"
        raise Problems([Problem(what, fix, f"data.{next(iter(varied))}")])
    try:
        sets = [substitute(varied, {used[0]: level}) for level in levels_of(factors[used[0]]).values()]
    except (KeyError, TypeError, ValueError) as error:
        what = f"{error.args[0]} is no field of its level" if error.args else "its levels are no data sets"
        raise Problems([Problem(what, "give each level that field", f"factors.{used[0]}")]) from None
    # A level that is a table stands for all that it says of a data set.
    sets = [{**one, **one["name"]} if isinstance(one.get("name"), dict) else one for one in sets]
    rest = {key: value for key, value in data.items() if key not in varied}
    others = {name: levels for name, levels in factors.items() if name != used[0]}
    if len(sets) == 1:
        return {**values, "data": {**rest, **sets[0]}, "factors": others}
    return {**values, "data": {**rest, "sets": sets}, "factors": others}


def on_data(arm: Arm, data: str, study: str) -> Arm:
    """An arm of a study on several data sets, from what it is on one of them."""
    rest = "" if arm.name == study else f", {arm.name}"
    return arm.model_copy(update={"name": f"{DATA}={data}{rest}", "levels": {DATA: data, **arm.levels}})


def without_data(name: str, levels: Mapping[str, str], study: str) -> str:
    """What an arm of a study on several data sets is called on one of them: ``on_data`` undone."""
    return name.removeprefix(f"{DATA}={levels.get(DATA, '')}").removeprefix(", ") or study


def _owner_of_base(study: Study, key: str, arm: ArmTemplate) -> str:
    """Which table an arm's base was written in: its own, or the network's."""
    listed = next((index for index, other in enumerate(study.arms) if other.name == arm.name), None)
    return f"arms[{listed}]" if listed is not None and study.arms[listed].base is not None else key


def _in_template(arm: ArmTemplate, owner: str, key: str, levels: dict[str, Any]) -> str:
    return f"{owner}.{dotted(source_path({'layers': plain(arm.layers)}, parts_of(key), levels))}"
