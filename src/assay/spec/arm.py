"""An arm, and an arm as a study file lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from ..errors import Problem, SpecError
from .arm_search import ArmSearch, problems_of_arm_search
from .base import Problems, Spec
from .factors import level_name, placeholders, substitute
from .metric import with_metric
from .module import identity_of, lines_of
from .network import BaseTemplate, Lines, plain
from .own import unused_left_out
from .search import Search, Value, levels_for, missing, no_field
from .training import Training
from .transfer import Base


class Arm(Spec):
    """One named configuration: a network, on a pretrained base or on none, and its training.

    ``module="my_nets.py:ResNet9(width=16)"`` instead of ``layers`` is a network of one's own (docs/guides/own-code.md).
    ``teacher`` is the arm that ``training.distillation`` names, which the study fills in. Of an arm that is a
    ``search``, layers and training are those of one candidate: ``at`` gives what a seed's search has chosen.
    ``images`` says how many images of each class it learns from (``"100 per class"``) where the study's
    ``[data] training`` names a factor; otherwise that says it for all arms.
    """

    name: str = Field(min_length=1, max_length=120)
    layers: Lines = Field(min_length=1)
    training: Training = Training()
    levels: dict[str, str] = {}
    base: Base | None = None
    images: str | None = None
    teacher: Arm | None = None
    search: ArmSearch | None = None

    def identity(self) -> dict[str, Any]:
        """What a run of this arm depends on: everything but its name and levels, and its images, which are its data's
        (``Study.data_of``); of its teacher, all that it is.

        Of an arm that is a search, what its searches depend on: its runs are of what these have chosen.
        """
        base = {"base": self.base.identity()} if self.base is not None else {}
        layers = [identity_of(line) for line in plain(list(self.layers))]
        training = self.training.identity()
        if self.teacher is not None:
            training["distillation"] = {**training["distillation"], "teacher": self.teacher.identity()}
        search = {} if self.search is None else {"search": self.search.identity()}
        return {"layers": layers, "training": training, **base, **search}

    def at(self, seed: int) -> Arm:
        """The arm that the run of a seed trains: itself, or what the seed's search has chosen.

        Raises:
            SpecError: The seed's search is not over.
        """
        if self.search is None:
            return self
        chosen = self.search.chosen.get(str(seed))
        if chosen is None:
            what = f'the search of arm "{self.name}", seed {seed}, has chosen nothing'
            raise SpecError(Problem(what, "run the study, which takes it to its end"))
        return candidate_of(self.name, self.search, chosen)

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return unused_left_out(handler(self), "images", "teacher", "search")

    @model_validator(mode="before")
    @classmethod
    def _module_is_a_line(cls, value: Any) -> Any:
        return lines_of(value)

    @model_validator(mode="after")
    def _own_optimizer_has_no_base(self) -> Self:
        if self.base is not None and self.training.optimizer.own is not None:
            what = "an optimizer of your own knows no blocks of a base"
            raise Problems([Problem(what, "name one of Assay's, or leave the base out", "training.optimizer.own")])
        return self

    @model_validator(mode="after")
    def _copies_are_augmented(self) -> Self:
        if self.base is None or not self.base.copies:
            return self
        augmentation = self.training.augmentation
        if augmentation is None or augmentation.mixes or augmentation.own:
            lack = "there is no augmentation" if augmentation is None else "mixup and CutMix draw anew for every batch"
            if augmentation is not None and augmentation.own:
                lack = "one of your own makes no copies"
            what = f"{self.base.copies} augmented copies are asked for, and {lack}"
            raise Problems([Problem(what, "leave copies out", "base.copies")])
        return self


def settings_of_training(given: Any) -> Any:
    """``[training]`` as plain settings, whatever objects it was given as."""
    try:
        return Training.settings_of(given)
    except SpecError as error:
        raise Problems(error.problems) from None


class ArmTemplate(Spec):
    """An arm as a study file lists it: its own layers, its own training keys, or both.

    An arm without layers has the network's, and its base unless it names another. One with layers has the base that it
    names itself.
    """

    name: str = Field(min_length=1, max_length=120)
    layers: Lines = ()
    training: dict[str, Any] = {}
    base: BaseTemplate = None
    search: Search | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return unused_left_out(handler(self), "search")

    @model_validator(mode="after")
    def _search_is_an_arm_s(self) -> Self:
        problems = [] if self.search is None else problems_of_arm_search(self.search)
        if problems:
            raise Problems(problems)
        return self

    @model_validator(mode="before")
    @classmethod
    def _module_is_a_line(cls, value: Any) -> Any:
        return lines_of(value)

    @field_validator("training", mode="before")
    @classmethod
    def _training_is_settings(cls, given: Any) -> Any:
        return settings_of_training(given)


def candidate_of(name: str, parts: ArmSearch, chosen: Mapping[str, Value]) -> Arm:
    """The arm that values of a search's parameters make.

    Args:
        name: Of the arm.
        parts: The space, and layers, training and base with its placeholders.
        chosen: As for ``Study.candidate``.

    Raises:
        SpecError: As ``Study.candidate`` says.
    """
    space = parts.search.space
    levels = levels_for(space, chosen)
    layers, training, base = plain(parts.layers), parts.training, parts.base
    if unknown := (placeholders(layers) | placeholders(training) | placeholders(base)) - set(levels):
        raise SpecError(missing(unknown, space))
    try:
        layers, base, training = (substitute(part, levels) for part in (layers, base, training))
    except KeyError as error:
        raise SpecError(no_field(error)) from None
    try:
        settings = Training.of(with_metric(training, parts.metric))
    except SpecError as error:
        raise SpecError(replace(problem, key=f"training.{problem.key}") for problem in error.problems) from None
    names = {key: level_name(value) for key, value in chosen.items()}
    base = None if base in (None, "none") else base
    return Arm(name=name, layers=layers, training=settings, levels=names, base=base)
