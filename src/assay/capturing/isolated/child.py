"""The process that runs a file's code: ``python -m assay.capturing.isolated.child REQUEST``."""

from __future__ import annotations

import builtins
import importlib.util
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np

from ...convert.code import Statement, read_code
from ...convert.draft import Draft
from ...data.location import cache_folder
from ...errors import InputError
from ..known import clear_stand_ins
from ..patches import Patches, WhenImported
from ..places import place
from ..recorder import Recorder
from ..studies import drafts_of
from . import bases, random_operations, spellings, tfds, tuner
from .cells import calls_fit, names_changed
from .data import Loaders
from .guard import Guard
from .landlock import restrict

_AGAIN = 5.0  # seconds after which code that caught the end of its time gets it again


class TimeIsUp(BaseException):
    """The time that the file's code may take is over."""


@dataclass
class Outcome:
    """What running a file gave.

    Args:
        drafts: The models that it made.
        notes: Of statements and cells that were left out, a sentence each.
        missing: What it needs and does not have: packages and files, a sentence each.
        fails_to_fit: A statement that calls ``fit`` was left out: a model that is only compiled then lacks its data.
    """

    drafts: list[Draft] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    fails_to_fit: bool = False


def run_file(path: Path, guard: Guard, *, seconds: float = 0) -> Outcome:
    """Runs a file's statements one by one, where ``fit`` records and returns at once.

    A statement that fails is left out, and with it the names that it would have given a value.

    Args:
        path: A script or notebook.
        guard: Limits; switched on by the caller.
        seconds: How long the code may take; 0 for any time.

    Raises:
        DataError: The file cannot be read, or a script is no Python.
    """
    with guard.lifted():
        code = read_code(path)
        import keras
    outcome = Outcome(notes=list(code.notes))
    patches, recorder, loaders = Patches(), Recorder(runs=False), Loaders(guard)
    has_tensorflow = "tensorflow" in sys.modules or importlib.util.find_spec("tensorflow") is not None
    names = spellings.Names(tensorflow=not has_tensorflow)
    remarks: list[str] = []
    sklearn = WhenImported(["sklearn.datasets"], lambda module: loaders.install_sklearn(module, patches))
    searches = tuner.Searches(recorder)
    before = dict(sys.modules)
    try:
        recorder.start()
        sys.meta_path.insert(0, names)
        if not has_tensorflow:
            _install_tensorflow(keras)
            sys.modules["tensorflow_datasets"] = tfds.module(loaders)
        sys.modules.update(searches.modules())
        spellings.install(keras, patches, remarks, place)
        spellings.install_outputs(keras.Model, patches, remarks, place)
        bases.install(keras, patches)
        random_operations.install(keras, patches)
        loaders.install(keras, patches)
        _install_folders(keras, patches)
        sklearn.start()
        variables = _run(code.statements, path, outcome, seconds)
    finally:
        sklearn.stop()
        patches.undo()
        recorder.stop()
        sys.meta_path.remove(names)
        for name in searches.modules():
            sys.modules.pop(name, None)
        sys.modules.update({name: before[name] for name in searches.modules() if name in before})
        for name in set(sys.modules) - set(before):
            if name.partition(".")[0] in ("tensorflow", "tensorflow_datasets") or isinstance(
                sys.modules[name], spellings.Answering
            ):
                del sys.modules[name]
    with guard.lifted():
        outcome.notes += remarks
        recordings, more = tuner.left_out(recorder.recordings, searches)
        outcome.notes += more
        outcome.notes += _untrained(variables, recorder, keras)
        loaded = () if outcome.fails_to_fit or searches.drafts else loaders.loaded
        outcome.drafts = [*searches.drafts, *drafts_of(recordings, loaded=loaded)]
        clear_stand_ins()
    return outcome


def _untrained(variables: dict[str, Any], recorder: Recorder, keras: Any) -> list[str]:
    """A note on each model that the file keeps, never compiles, and makes no part of one that it does."""
    models = {id(value): (name, value) for name, value in variables.items() if isinstance(value, keras.Model)}
    parts = {id(one.model) for one in recorder.recordings}
    parts |= {id(layer) for one in recorder.recordings for layer in one.model._flatten_layers()}
    return [
        f"{recorder.place_of(model)}: {name} is never trained, and is no arm of the study."
        for name, model in models.values()
        if id(model) not in parts and not any(id(layer) in parts for layer in model.layers if layer.weights)
    ]


def _run(statements: tuple[Statement, ...], path: Path, outcome: Outcome, seconds: float) -> dict[str, Any]:
    """Runs the statements; returns the file's variables."""
    module = ModuleType("__main__")
    module.__dict__.update({"__file__": str(path.absolute()), "__builtins__": builtins, "display": lambda *_: None})
    main, argv, search = sys.modules["__main__"], sys.argv, list(sys.path)
    sys.modules["__main__"] = module
    sys.argv = [str(path)]
    sys.path.insert(0, str(path.absolute().parent))
    lost: set[str] = set()
    following: list[str] = []
    try:
        _alarm(seconds)
        for statement in statements:
            try:
                code = compile(_module_of(statement), statement.filename, "exec")
                exec(code, module.__dict__)
            except TimeIsUp:
                outcome.notes.append(
                    f"{statement.place}: stopped after {seconds:g} seconds; what comes behind was not run."
                )
                break
            except BaseException as error:
                names = names_changed(statement.tree)
                if isinstance(error, NameError) and error.name in lost:
                    following.append(statement.place)
                else:
                    _note(error, statement, outcome)
                outcome.fails_to_fit |= calls_fit(statement.tree)
                lost |= names
                for name in names:
                    module.__dict__.pop(name, None)
            else:
                lost -= names_changed(statement.tree)
    finally:
        _alarm(0)
        sys.modules["__main__"], sys.argv, sys.path[:] = main, argv, search
    if following:
        shown = "; ".join(following[:6]) + (f"; and {len(following) - 6} more" if len(following) > 6 else "")
        outcome.notes.append(f"Left out, as they build on those: {shown}.")
    return module.__dict__


def _module_of(statement: Statement) -> Any:
    import ast

    return ast.Module([statement.tree], [])


def _note(error: BaseException, statement: Statement, outcome: Outcome) -> None:
    where = f"{_place_of(error, statement)}: "
    if isinstance(error, ModuleNotFoundError) and error.name:
        package = error.name.partition(".")[0]
        more = "; a tuner's search is [search] in a study" if "tuner" in package else ""
        outcome.missing.append(f"{where}it needs the package {package}, which is not installed here{more}.")
    elif isinstance(error, FileNotFoundError) and error.filename:
        outcome.missing.append(f"{where}it needs the file {error.filename}, which is not there.")
    elif isinstance(error, EOFError):
        outcome.missing.append(f"{where}it waits for input, and there is nobody to give any.")
    elif isinstance(error, SystemExit):
        outcome.notes.append(f"{where}the file ends itself here; what comes behind was run all the same.")
    elif isinstance(error, NotImplementedError) and "training loop" in str(error):
        outcome.missing.append(f"{where}{error}.")
    else:
        what = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        outcome.notes.append(f"{where}{statement.text} fails ({what}) and is left out.")


def _place_of(error: BaseException, statement: Statement) -> str:
    """The line of the statement in which it fails: in a loop or a function not its first."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == statement.filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    return statement.place if line is None else f"{statement.prefix}{line}"


def _alarm(seconds: float) -> None:
    if not hasattr(signal, "setitimer"):
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeIsUp

    if seconds:
        signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN if seconds else 0)


def _install_tensorflow(keras: Any) -> None:
    from keras.src.utils import module_utils

    from .tensorflow import TensorFlow

    module_utils.tensorflow._available = False  # Keras must not take this for TensorFlow itself
    sys.modules["tensorflow"] = TensorFlow(keras)


def _install_folders(keras: Any, patches: Patches) -> None:
    from .folders import flow_from_directory, image_dataset_from_directory

    patches.set(keras.utils, "image_dataset_from_directory", image_dataset_from_directory)
    patches.set(keras.preprocessing, "image_dataset_from_directory", image_dataset_from_directory)
    generator = keras.preprocessing.image.ImageDataGenerator
    patches.set(generator, "flow_from_directory", flow_from_directory(generator.flow_from_directory))


def main(request: Path) -> None:
    """Runs the file that a request names and writes what it gave beside the request."""
    values = json.loads(request.read_text())
    folder = request.parent
    import keras  # noqa: F401  before the limits: it maps more than it uses

    _limit(values["seconds"], values["memory"])
    restrict([folder, cache_folder()])
    guard = Guard(folder)
    guard.start()
    try:
        with _silent():
            outcome = run_file(Path(values["path"]), guard, seconds=values["seconds"])
        result: dict[str, Any] = {
            "drafts": [_plain(draft, at, folder) for at, draft in enumerate(outcome.drafts)],
            "notes": outcome.notes, "missing": outcome.missing,
        }  # fmt: skip
    except InputError as error:
        result = {"problems": [vars(problem) for problem in error.problems]}
    (folder / "result.json").write_text(json.dumps(result, default=float))


@contextmanager
def _silent() -> Iterator[None]:
    """What the file's code prints goes nowhere: it may print without end."""
    sys.stdout.flush(), sys.stderr.flush()
    kept = [os.dup(number) for number in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for number in (1, 2):
            os.dup2(nowhere, number)
        yield
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        for number, original in zip((1, 2), kept, strict=True):
            os.dup2(original, number)
            os.close(original)
        os.close(nowhere)


def _plain(draft: Draft, at: int, folder: Path) -> dict[str, Any]:
    arrays = None
    if draft.arrays:
        arrays = f"arrays-{at}.npz"
        np.savez_compressed(folder / arrays, **draft.arrays)  # type: ignore[arg-type]
    return {
        "name": draft.name, "place": draft.place, "values": draft.values, "notes": draft.notes, "arrays": arrays,
        "problems": [vars(problem) for problem in draft.problems], "parameters": draft.parameters,
        "classes": draft.classes,
    }  # fmt: skip


def _limit(seconds: float, memory: int) -> None:
    """Processor time, memory and sizes of files from here on."""
    used = (
        int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        if os.path.exists("/proc/self/statm")
        else 0
    )
    _lower(resource.RLIMIT_CPU, int(seconds * (os.cpu_count() or 1)) + 60)
    _lower(resource.RLIMIT_AS, used + memory)
    _lower(resource.RLIMIT_FSIZE, memory)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(kind: int, limit: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
