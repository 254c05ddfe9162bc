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
    """One named configuration: a network and its training. ``Study.expand`` returns arms.

    Args:
        name: The arm's name, at most 120 characters.
        layers: Layer words and blocks, top to bottom. Give ``module="my_nets.py:ResNet9(width=16)"`` instead for a
            network of your own (docs/guides/own-code.md).
        training: The training protocol.
        levels: The level of each factor, by the factor's name.
        base: Pretrained layers in front of ``layers``.
        images: The number of training images of each class, such as ``"100 per class"``, if it is a factor of the
            study.
        teacher: The arm that ``training.distillation`` names. The study fills it in.
        search: The search that the arm is, if it is one. ``layers`` and ``training`` are then those of one candidate;
            ``at`` returns what a seed's search has chosen.

    Raises:
        SpecError: One or more rules are broken; ``problems`` holds each.

    Example:
        >>> arm = assay.Arm(name="small", layers=["conv 8 3x3 relu", "flatten", "dense classes softmax"])
        >>> arm.training.epochs
        10
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
        """Return what a run of this arm depends on, as JSON values. Name, levels and images are no part of it.

        The number of images belongs to the data (``Study.data_of``). A teacher is included with everything that it
        depends on.
        """
        base = {"base": self.base.identity()} if self.base is not None else {}
        layers = [identity_of(line) for line in plain(list(self.layers))]
        training = self.training.identity()
        if self.teacher is not None:
            training["distillation"] = {**training["distillation"], "teacher": self.teacher.identity()}
        search = {} if self.search is None else {"search": self.search.identity()}
        return {"layers": layers, "training": training, **base, **search}

    def at(self, seed: int) -> Arm:
        """Return the arm that the run of a seed trains; for an arm that is a search, the seed's chosen candidate.

        Args:
            seed: The seed.

        Raises:
            SpecError: The seed's search has not finished.
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
    """An arm as a study file lists it under ``[[arms]]``: its own layers, its own training keys, or both.

    Args:
        name: The arm's name, at most 120 characters.
        layers: Its layers. If empty, it has those of the study's ``network``. ``module="..."`` is accepted as in
            :class:`Arm`.
        training: Keys of ``training`` that differ from the study's.
        base: Pretrained layers. If ``None``, an arm without layers of its own has the base of ``network``. ``"none"``
            means no base.
        search: Makes the arm a search: for each seed the best candidate of its own search.

    Example:
        >>> study = assay.Study(
        ...     data={"name": "digits"},
        ...     arms=[
        ...         assay.ArmTemplate(name="linear", layers=["flatten", "dense classes softmax"]),
        ...         assay.ArmTemplate(name="deep", layers=["flatten", "dense 64 relu", "dense classes softmax"]),
        ...     ],
        ... )
        >>> [arm.name for arm in study.expand()]
        ['linear', 'deep']
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
