"""Arms that learn from other arms of their study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..errors import Problem, SpecError
from .arm import Arm
from .arms import arm_name
from .base import Problems
from .data import Data
from .seeds import Seeds


def with_teachers(
    arms: Mapping[str, Arm], *, study: str, seeds: Seeds, data: Data, places: Mapping[str, str]
) -> tuple[Arm, ...]:
    """The arms, each with the arm that teaches it, where one does.

    Args:
        arms: All arms of a study by name.
        study: Its name.
        seeds, data: The study's.
        places: Where the study holds each arm's training, by the arm's name.

    Raises:
        Problems: There is no such arm, arms teach each other in a circle, or the teacher's run is none of the study's,
            or one that has seen the student's validation images.
    """
    resolved: dict[str, Arm] = {}
    problems: dict[str, Problem] = {}

    def with_teacher(arm: Arm, students: tuple[str, ...]) -> Arm:
        distillation = arm.training.distillation
        if arm.name in resolved or distillation is None:
            return resolved.setdefault(arm.name, arm)
        key = f"{places[arm.name]}.distillation"
        try:
            name = arm_name(distillation.teacher, list(arms), study)
        except SpecError as error:
            problems.setdefault(arm.name, replace(error.problems[0], key=f"{key}.teacher"))
            return arm
        problem = _problem_of_teacher(arms[name], (*students, arm.name))
        if problem is not None:
            problems.setdefault(name, replace(problem, key=f"{key}.teacher"))
            return arm
        for problem in _problems_of_student(arm, seeds, data):
            problems.setdefault(problem.what, problem if problem.key else replace(problem, key=key))
        teacher = with_teacher(arms[name], (*students, arm.name))
        return resolved.setdefault(arm.name, arm.model_copy(update={"teacher": teacher}))

    taught = tuple(with_teacher(arm, ()) for arm in arms.values())
    if problems:
        raise Problems(problems.values())
    return taught


def _problem_of_teacher(teacher: Arm, students: tuple[str, ...]) -> Problem | None:
    """Why an arm cannot teach the last of the students, who teach each other in this order."""
    if teacher.search is not None:
        what = f'the teacher "{teacher.name}" is a search, whose network each seed chooses anew'
        return Problem(what, "name an arm that is none")
    if teacher.name == students[-1]:
        return Problem(f'arm "{teacher.name}" teaches itself', "name another arm as its teacher")
    if teacher.name in students:
        circle = " learns from ".join(f'"{name}"' for name in (*students, teacher.name))
        return Problem(f"arms teach each other in a circle: {circle}", "let one of them learn from labels alone")
    return None


def _problems_of_student(arm: Arm, seeds: Seeds, data: Data) -> list[Problem]:
    distillation = arm.training.distillation
    if distillation is None:
        return []
    if seeds.stop:
        what = "arms stop by themselves, and a student needs its teacher's run of each of its seeds"
        return [Problem(what, "give count instead of stop", "seeds.stop")]
    if arm.base is not None and arm.base.copies:
        what = "a teacher looks at images, and copies keep a base's outputs of them"
        return [Problem(what, "leave copies out, or the teacher")]
    if distillation.seed == "same":
        return []
    if not seeds.start <= distillation.seed < seeds.start + seeds.planned:
        last = seeds.start + seeds.planned - 1
        what = f"the teacher's seed {distillation.seed} is none of the study's, {seeds.start} to {last}"
        return [Problem(what, 'give one of them, or "same"')]
    if data.num_folds or (data.is_drawn and "split" in seeds.vary):
        what = f"the run of seed {distillation.seed} has learned from other seeds' validation images"
        fix = 'give seed = "same", or let all seeds have one split (vary without "split", or validation = "last 10%")'
        return [Problem(what, fix)]
    return []
