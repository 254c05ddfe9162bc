"""Reads what a script or notebook says literally: Sequential models of literal layers, and how they are trained.

Nothing is run. The file's own statements are followed in their order; whatever else touches a model or its data makes
it unknown, and is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..data import entry
from ..errors import InputError, Problem, SpecError
from ..nets.keras import Unfit
from .calls import class_of, layer_config, shape_of
from .code import Statement, placed
from .compiled import Compiled, compiled_settings
from .configs import MOST_LAYERS, LayerConfig
from .dataset import Source
from .draft import Draft, assemble
from .graph import Graph, Step
from .literals import Names, Unknown, names_stored, owner, value_of
from .model_file import PLACE
from .network import words_of
from .source_data import Data, derived, loaded
from .training_calls import FitCall, compiled_of, fit_of

_HARMLESS = (
    "summary", "evaluate", "predict", "predict_on_batch", "save", "save_weights", "count_params", "get_weights",
    "to_json", "get_config", "build", "export", "get_layer", "min", "max", "mean", "std", "argmax", "tolist",
    "savefig", "format", "items", "keys",
)  # fmt: skip
_BUILDING = ("Sequential", "Model", "Functional", "compile", "fit", "fit_generator", "train_on_batch", "search")
# Modules whose functions leave the arrays that they get as they are, but for those that are named.
_PURE = ("numpy.", "matplotlib.", "seaborn.", "sklearn.metrics.", "keras.utils.plot_model", "plotly.", "cv2.im")
_IMPURE = ("shuffle", "put", "copyto", "place", "fill_diagonal", "putmask", "put_along_axis")
_RUNS_TEXT = ("exec", "eval", "globals", "locals", "vars", "setattr", "delattr")
_KNOWN_STARS = ("keras", "tensorflow", "numpy", "matplotlib", "pylab", "math", "sklearn")
_BUILTINS = ("print", "display", "len", "type", "range", "zip", "enumerate", "min", "max", "set", "list", "str", "SVG")


@dataclass
class _Model:
    """A Sequential model in the making.

    Args:
        name: The variable that holds it.
        place: Where it begins.
        layers: So far.
        compiled: Once it is.
        fit: Once it is fitted.
        problems: Why it cannot be read.
    """

    name: str
    place: str
    layers: list[LayerConfig] = field(default_factory=list)
    compiled: Compiled | None = None
    fit: FitCall | None = None
    problems: list[Problem] = field(default_factory=list)


class Reader:
    """Goes through a file's statements in their order.

    Args:
        file: For messages.
    """

    def __init__(self, file: str) -> None:
        self._file = file
        self._remedy = f"`assay convert --run {file}` runs it and takes what it builds"
        self._names = Names()
        self._models: dict[str, _Model] = {}
        self._arrays: dict[str, Data] = {}
        self._never: set[str] = set()  # names that functions assign
        self._lost: dict[str, str] = {}  # names that cannot be seen any more, with the place that changed them
        self._mentions: dict[str, set[str]] = {}  # functions of the file, with all names in them
        self._every: list[_Model] = []
        self._loaded: list[str] = []
        self._problems: list[Problem] = []
        self._notes: list[str] = []

    def read(self, statements: Sequence[Statement]) -> list[Draft]:
        """The file's models as studies in the making.

        Raises:
            SpecError: Something that a study needs cannot be seen without running the code.
        """
        globals_ = [node for one in statements for node in ast.walk(one.tree) if isinstance(node, ast.Global)]
        self._never = {name for node in globals_ for name in node.names}
        for statement in statements:
            self._statement(statement)
        trained = [model for model in self._every if model.fit is not None]
        compiled = [model for model in self._every if model.compiled is not None]
        models = trained or compiled or self._every
        # What follows from the first thing that is not read would only say the same again.
        problems = [*self._problems[:1], *(problem for model in models for problem in model.problems)]
        if not models and not problems:
            fix = f"a Sequential of literal layers is read; else {self._remedy}"
            problems.append(Problem("there is no Sequential model in it", fix, file=self._file))
        if problems:
            raise SpecError(list({problem.what: problem for problem in reversed(problems)}.values())[::-1])
        left_out = [model for model in self._every if model not in models]
        self._notes += [f"{model.place}: {model.name} is never trained, and is left out." for model in left_out]
        return [self._draft(model, first=number == 0) for number, model in enumerate(models)]

    def _draft(self, model: _Model, *, first: bool) -> Draft:
        place = model.fit.place if model.fit is not None else model.place
        draft = Draft(model.name, place, notes=list(self._notes) if first else [])
        try:
            shape = next((shape for shape in map(shape_of, model.layers) if shape is not None), None)
            words = words_of(Graph([Step(config) for config in model.layers], shape))
            settings, notes = compiled_settings(model.compiled, words) if model.compiled is not None else ({}, [])
            if model.compiled is None:
                notes.append(f"{place}: the model is not compiled; adam and cross-entropy are written.")
            source = self._source(model, notes, place)
            training = settings
            if model.fit is not None:
                training = {**model.fit.training, **settings}
                notes += model.fit.notes
            assemble(draft, words, source, training, notes, place)
        except InputError as error:
            raise SpecError([
                placed(problem.at(key=place), self._file) for problem in error.problems
            ]) from None  # fmt: skip
        return draft

    def _source(self, model: _Model, notes: list[str], place: str) -> Source:
        if model.fit is not None:
            about = entry(model.fit.data.name).info
            values = {"name": model.fit.data.name, **model.fit.validation}
            return Source(values, classes=about.classes, shape=about.shape, scaling=model.fit.data.scaling)
        known = list(dict.fromkeys(self._loaded))
        what = "is never trained with fit, so epochs, batch size and the images' scaling are Assay's own"
        notes.append(f"{place}: {model.name} {what}.")
        if len(known) == 1:
            about = entry(known[0]).info
            notes.append(f"{place}: the data are taken to be {known[0]}, which the file loads.")
            return Source({"name": known[0]}, classes=about.classes, shape=about.shape)
        return Source({"path": PLACE})

    def _refuse(self, what: str, place: str) -> None:
        self._problems.append(self._problem(what, place))

    def _problem(self, what: str, place: str, fix: str = "") -> Problem:
        """A problem at a cell and line, or at a script's line."""
        name, _, line = place.rpartition(":")
        fix = fix or self._remedy
        if line.isdigit() and name == Path(self._file).name:
            return Problem(what, fix, file=self._file, line=int(line))
        return Problem(what, fix, place, self._file)

    def _statement(self, statement: Statement) -> None:
        tree = statement.tree
        match tree:
            case ast.Import() | ast.ImportFrom():
                self._forget({(one.asname or one.name).split(".")[0] for one in tree.names}, statement.place)
                self._names.add_import(tree)
                module = tree.module or "" if isinstance(tree, ast.ImportFrom) else ""
                if any(one.name == "*" for one in tree.names) and not module.startswith(_KNOWN_STARS):
                    self._refuse(f"any name may come from {module or 'there'}", statement.place)
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._definition(tree, statement)
                return
            case ast.Assign(targets=[target]):
                if self._assigned(target, tree.value, statement):
                    return
            case ast.AnnAssign(value=ast.expr() as value):
                if self._assigned(tree.target, value, statement):
                    return
            case ast.AugAssign(target=ast.Name() as target, op=ast.Div(), value=value) if target.id in self._arrays:
                whole = ast.copy_location(ast.BinOp(ast.Name(target.id, ast.Load()), ast.Div(), value), tree)
                if self._assigned(target, whole, statement):
                    self._forget(self._aliases({target.id}) - {target.id}, statement.place)
                    return
            case ast.Expr(value=ast.Call() as call) if self._call(call, statement):
                return
        self._other(tree, statement)

    def _assigned(self, target: ast.expr, value: ast.expr, statement: Statement) -> bool:
        """Whether an assignment is plain."""
        if isinstance(target, ast.Tuple | ast.List) and not any(isinstance(one, ast.Starred) for one in target.elts):
            return self._unpacked(target.elts, value, statement)
        if not isinstance(target, ast.Name) or target.id in self._never:
            return False
        name = target.id
        if isinstance(value, ast.Call) and self._call(value, statement):  # history = model.fit(...)
            self._forget({name}, statement.place)
            return True
        if isinstance(value, ast.Call) and self._is_sequential(value):
            self._forget({name}, statement.place)
            self._new_model(name, value, statement)
            return True
        if (data := derived(value, self._arrays, self._names)) is not None:
            self._forget({name}, statement.place)
            self._arrays[name] = data
            return True
        full = self._names.full_name(value)
        try:
            plain = value_of(value, self._names)
        except Unknown:
            if isinstance(value, ast.Call) and self._names.full_name(value.func).startswith("keras.optimizers."):
                self._forget({name}, statement.place)
                self._names.calls[name] = value
                return True
            if full:
                self._forget({name}, statement.place)
                self._names.imported[name] = full
            return bool(full)
        self._forget({name}, statement.place)
        self._names.values[name] = plain
        return True

    def _unpacked(self, targets: list[ast.expr], value: ast.expr, statement: Statement) -> bool:
        pairs = loaded(value, self._names)
        if pairs is not None and len(targets) == 2:
            self._loaded.append(pairs[0][0].name)
            for target, pair in zip(targets, pairs, strict=True):
                names = list(target.elts) if isinstance(target, ast.Tuple | ast.List) else []
                self._forget(names_stored(target), statement.place)
                for one, data in zip(names, pair, strict=False):
                    if isinstance(one, ast.Name):
                        self._arrays[one.id] = data
            return True
        if not isinstance(value, ast.Tuple | ast.List) or len(value.elts) != len(targets):
            return False
        if not all(isinstance(one, ast.Name) and one.id not in self._never for one in targets):
            return False
        arrays = [derived(one, self._arrays, self._names) for one in value.elts]
        try:
            plain = [None if known is not None else value_of(one, self._names)
                     for one, known in zip(value.elts, arrays, strict=True)]  # fmt: skip
        except Unknown:
            return False
        self._forget({one.id for one in targets if isinstance(one, ast.Name)}, statement.place)
        for target, known, given in zip(targets, arrays, plain, strict=True):
            assert isinstance(target, ast.Name)
            if known is not None:
                self._arrays[target.id] = known
            else:
                self._names.values[target.id] = given
        return True

    def _is_sequential(self, call: ast.Call) -> bool:
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        full = self._names.full_name(call.func)
        is_star = name == "Sequential" and self._names.has_star(name, "keras", "keras.models")
        return is_star or full in ("keras.Sequential", "keras.models.Sequential")

    def _new_model(self, name: str, call: ast.Call, statement: Statement) -> None:
        model = _Model(name, statement.at(call))
        self._models[name] = model
        self._every.append(model)
        named = {one.arg: one.value for one in call.keywords}
        given = call.args[0] if call.args else named.pop("layers", None)
        if set(named) - {"name", "trainable"} or len(call.args) > 1:
            model.problems.append(self._problem("its settings are not read", model.place))
        if isinstance(given, ast.List | ast.Tuple):
            for element in given.elts:
                self._add(model, element, statement)
        elif given is not None:
            what = f"its layers are {ast.unparse(given)[:60]}, which is no list of literal layers"
            model.problems.append(self._problem(what, statement.at(given)))

    def _add(self, model: _Model, node: ast.expr, statement: Statement) -> None:
        place = statement.at(node)
        if isinstance(node, ast.Call) and self._is_sequential(node):
            named = {one.arg: one.value for one in node.keywords}
            inner = node.args[0] if node.args else named.get("layers")
            if isinstance(inner, ast.List | ast.Tuple):
                for element in inner.elts:
                    self._add(model, element, statement)
                return
        try:
            if not isinstance(node, ast.Call):
                raise Unknown(node)
            model.layers.append(layer_config(node, self._names, place))
            if len(model.layers) > MOST_LAYERS:
                raise SpecError(self._problem(f"it has more than {MOST_LAYERS:,} layers", place))
        except Unknown as unknown:
            lost = next((self._lost[one.id] for one in ast.walk(unknown.node)
                         if isinstance(one, ast.Name) and one.id in self._lost), "")  # fmt: skip
            since = f" (changed at {lost})" if lost else ""
            what = f"{unknown.text}{since} is not literal: only running the code would say what it is"
            model.problems.append(self._problem(what, place))
        except Unfit as unfit:
            kind = ast.unparse(node.func)[:40] if isinstance(node, ast.Call) else ""
            fix = f"{unfit.fix}; or {self._remedy}" if unfit.fix else self._remedy
            model.problems.append(self._problem(f"{kind}: {unfit.what}", place, fix))

    def _call(self, call: ast.Call, statement: Statement) -> bool:
        """``model.add(...)``, ``compile`` and ``fit``; whether it was one of these."""
        if not isinstance(call.func, ast.Attribute) or not isinstance(call.func.value, ast.Name):
            return False
        model, method = self._models.get(call.func.value.id), call.func.attr
        if model is None:
            return False
        if method == "add" and len(call.args) == 1 and not call.keywords:
            if model.compiled is not None:
                what = "a layer is added after compile"
                model.problems.append(self._problem(what, statement.at(call)))
            self._add(model, call.args[0], statement)
            return True
        if method in ("compile", "fit"):
            try:
                self._train(model, call, method, statement.at(call))
            except Unknown as unknown:
                what = f"{method} gets {unknown.text}, which is not read without running it"
                model.problems.append(self._problem(what, statement.at(unknown.node)))
            return True
        return False

    def _train(self, model: _Model, call: ast.Call, method: str, place: str) -> None:
        if method == "compile":
            compiled = compiled_of(call, self._names, place)
            if model.compiled is not None:
                model.problems.append(self._problem("it is compiled twice", place))
            model.compiled = compiled
        elif model.compiled is None or model.fit is not None:
            what = "it is fitted twice" if model.fit is not None else "it is fitted before it is compiled"
            model.problems.append(self._problem(what, place))
        else:
            model.fit = fit_of(call, self._arrays, self._names, place)

    def _definition(self, tree: ast.stmt, statement: Statement) -> None:
        name = str(getattr(tree, "name", ""))
        self._forget({name}, statement.place)
        self._mentions[name] = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        bases = [self._names.full_name(base) for base in tree.bases] if isinstance(tree, ast.ClassDef) else []
        if any(base.startswith("keras.") and base.endswith("Model") for base in bases):
            self._refuse(f"the class {name} is a model of its own, whose call is code", statement.place)
        elif self._builds(tree):
            kind = "class" if isinstance(tree, ast.ClassDef) else "function"
            self._refuse(f"the {kind} {name} builds or trains a model, and functions are not read", statement.place)

    def _builds(self, tree: ast.AST) -> bool:
        """Whether a model is built or trained inside."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if last in _BUILDING or (last == "add" and owner(node.func) & set(self._models)):
                    return True
                if isinstance(node.func, ast.Call) and class_of(node.func, self._names):  # Dense(10)(x)
                    return True
        return False

    def _other(self, tree: ast.stmt, statement: Statement) -> None:
        """A statement that is not read: what it may change is not known any more."""
        shown = statement.text[:60]
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        changed = names_stored(tree)
        if any(isinstance(call.func, ast.Name) and call.func.id in _RUNS_TEXT for call in calls):
            self._refuse(f'"{shown}" may change anything', statement.place)
        if self._builds(tree):
            self._refuse(f'"{shown}" builds or trains a model in a way that is not literal', statement.place)
        if any(self._names.imported.get(name, "").startswith("keras") for name in changed):
            self._refuse(f'"{shown}" replaces a part of Keras', statement.place)
        if any(self._sets_keras(call) for call in calls):
            self._refuse(f'"{shown}" changes how Keras computes', statement.place)
        if not all(map(self._is_harmless, calls)):
            changed |= {node.id for node in names}
        for name in list(changed):
            changed |= self._mentions.get(name, set())
        uses = {id(call.func.value) for call in calls
                if isinstance(call.func, ast.Attribute) and call.func.attr in _HARMLESS}  # fmt: skip
        for node in names:
            if node.id in self._models and id(node) not in uses:
                problem = self._problem(f'"{shown}" may change {node.id}', statement.at(node))
                self._models[node.id].problems.append(problem)
        self._forget((changed | self._aliases(changed)) - set(self._names.imported), statement.place)
        self._forget(names_stored(tree), statement.place)

    def _sets_keras(self, call: ast.Call) -> bool:
        full = self._names.full_name(call.func)
        return full.startswith("keras.") and full.rpartition(".")[2].startswith("set_") and "seed" not in full

    def _is_harmless(self, call: ast.Call) -> bool:
        """Whether a call leaves all that it gets as it is."""
        full = self._names.full_name(call.func)
        if any(one.arg in ("out", None) for one in call.keywords):
            return False
        if full:
            return full.startswith(_PURE) and full.rpartition(".")[2] not in _IMPURE
        if isinstance(call.func, ast.Name):
            return call.func.id in _BUILTINS and call.func.id not in self._mentions
        return isinstance(call.func, ast.Attribute) and call.func.attr in _HARMLESS

    def _aliases(self, names: set[str]) -> set[str]:
        """The arrays that may share memory with these: a change in place is seen in all of them."""
        changed = [self._arrays[name] for name in names if name in self._arrays]
        same = {(one.name, one.part, one.is_images) for one in changed}
        return {name for name, one in self._arrays.items() if (one.name, one.part, one.is_images) in same}

    def _forget(self, names: set[str], place: str) -> None:
        for name in names:
            if name in self._arrays or name in self._names.values or name in self._names.calls:
                self._lost[name] = place
            self._names.forget(name)
            self._arrays.pop(name, None)
            self._models.pop(name, None)
