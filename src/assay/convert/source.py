"""Keras code as layer words: scripts and notebooks are parsed, never run."""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..disk import telling
from ..errors import DataError, Problem, SpecError
from .configs import KINDS, Converted, LayerConfig, convert

_MOST_BYTES = 1 << 24
_MOST_NUMBER = 10**12
# What stands where in a layer's call, where no name is given.
_POSITIONS: Mapping[str, tuple[str, ...]] = {
    "Conv2D": ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "activation"),
    "DepthwiseConv2D": ("kernel_size", "strides", "padding", "depth_multiplier"),
    "SeparableConv2D": ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate"),
    "Dense": ("units", "activation", "use_bias"),
    "MaxPooling2D": ("pool_size", "strides", "padding"),
    "AveragePooling2D": ("pool_size", "strides", "padding"),
    "Dropout": ("rate",),
    "SpatialDropout2D": ("rate",),
    "Activation": ("activation",),
    "BatchNormalization": ("axis", "momentum", "epsilon"),
    "LayerNormalization": ("axis", "epsilon"),
    "GroupNormalization": ("groups", "axis", "epsilon"),
    "LeakyReLU": ("negative_slope",),
    "ELU": ("alpha",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Softmax": ("axis",),
    "Rescaling": ("scale", "offset"),
    "Input": ("shape",),
    "InputLayer": ("input_shape",),
}
_OTHER_NAMES = {"MaxPool2D": "MaxPooling2D", "AvgPool2D": "AveragePooling2D", "Convolution2D": "Conv2D"}
_DATA = {"mnist": "mnist", "fashion_mnist": "fashion_mnist", "cifar10": "cifar10", "cifar100": "cifar100"}
_OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}  # fmt: skip


@dataclass(frozen=True)
class SourceModel:
    """A Sequential model that code defines.

    Args:
        name: The variable that holds it.
        converted: Its layers.
        line: Where it begins.
    """

    name: str
    converted: Converted
    line: int


@dataclass
class Source:
    """What a file's code says.

    Args:
        models: The Sequential models in it.
        data: The data set that it loads, as ours is called; empty if none is known.
        training: ``epochs``, ``batch_size`` and ``optimizer``, as far as the code says them plainly.
        notes: What was left out, a sentence each.
    """

    models: list[SourceModel] = field(default_factory=list)
    data: str = ""
    training: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_source(path: Path) -> Source:
    """The Sequential models in a ``.py`` or ``.ipynb`` file.

    Both styles are read: ``Sequential([...])`` and ``model.add(...)``. Names, tuples and arithmetic that stand for
    plain values are worked out; whatever else a layer's settings are made of is told with its line.

    Raises:
        DataError: The file cannot be read, or is no Python.
        SpecError: There is no Sequential model in it, or a layer has no words here.
    """
    file = str(path)
    with telling(path, "read"), open(path, "rb") as opened:
        content = opened.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise DataError(Problem(f"it has more than {_MOST_BYTES:,} bytes", "give the code alone", file=file))
    code = _cells(content, file) if path.suffix.lower() == ".ipynb" else content.decode("utf-8", errors="replace")
    try:
        tree = ast.parse(code)
        reader = _Reader(file)
        reader.block(tree.body, _Scope({}))
    except SyntaxError as error:
        what = f"it is no Python ({error.msg})"
        raise DataError(Problem(what, "give a script or notebook that runs", file=file, line=error.lineno)) from None
    except (RecursionError, MemoryError, ValueError) as error:
        what = f"its code cannot be read ({type(error).__name__})"
        raise DataError(Problem(what, "give a simpler file", file=file)) from None
    return reader.finished()


def _cells(content: bytes, file: str) -> str:
    """A notebook's code, each cell behind the other; what is no Python (magics, shell lines) is left out."""
    try:
        cells = json.loads(content)["cells"]
        texts = []
        for cell in cells:
            if cell.get("cell_type") == "code":
                text = cell["source"]
                lines = (text if isinstance(text, str) else "".join(text)).split("\n")
                if not lines[0].startswith("%%"):
                    texts += ["pass" if line.lstrip().startswith(("%", "!", "?")) else line for line in lines]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(Problem("it is no notebook", "save it again as .ipynb", file=file)) from None
    return "\n".join(texts)


class _Unknown(Exception):
    """A value that cannot be worked out without running the code."""

    def __init__(self, node: ast.AST) -> None:
        self.text = ast.unparse(node)[:60]
        super().__init__(self.text)


@dataclass
class _Building:
    """A model whose layers are being added."""

    name: str
    line: int
    calls: list[tuple[ast.Call, _Scope]]


@dataclass
class _Scope:
    """Names that stand for plain values, for imported things and for models."""

    values: dict[str, Any]
    imported: dict[str, str] = field(default_factory=dict)
    models: dict[str, _Building] = field(default_factory=dict)
    custom: set[str] = field(default_factory=set)
    lists: dict[str, list[tuple[ast.Call, _Scope]]] = field(default_factory=dict)

    def inner(self) -> _Scope:
        """What is known here, for statements that may come to know more."""
        return _Scope(dict(self.values), dict(self.imported), dict(self.models), set(self.custom), dict(self.lists))


class _Reader:
    """Goes through statements in their order."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found = Source()
        self._building: list[_Building] = []
        self._problems: list[Problem] = []

    def block(self, statements: Sequence[ast.stmt], scope: _Scope) -> None:
        for statement in statements:
            self._statement(statement, scope)

    def finished(self) -> Source:
        used: dict[str, int] = {}
        for model in self._building:
            if not model.calls:
                continue
            try:
                layers = [layer for call, scope in model.calls for layer in self._layer(call, scope)]
                converted = convert(layers, file=self.file)
            except SpecError as error:
                self._problems += error.problems
                continue
            number = used[model.name] = used.get(model.name, 0) + 1
            name = model.name if number == 1 else f"{model.name}-{number}"
            self.found.models.append(SourceModel(name, converted, model.line))
        if self._problems:
            raise SpecError(self._problems)
        if not self.found.models:
            fix = "only Sequential models are read: Sequential([...]) or model.add(...)"
            raise SpecError(Problem("there is no Sequential model in it", fix, file=self.file))
        return self.found

    def _statement(self, node: ast.stmt, scope: _Scope) -> None:
        match node:
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    scope.imported[alias.asname or alias.name.split(".")[0]] = alias.name.split(".")[-1]
            case ast.ClassDef():
                scope.custom.add(node.name)
            case ast.FunctionDef():
                inner = scope.inner()
                for name in (*node.args.args, *node.args.kwonlyargs):
                    inner.values.pop(name.arg, None)
                positional = node.args.args
                for name, default in zip(positional[len(positional) - len(node.args.defaults) :], node.args.defaults):  # noqa: B905
                    self._assign(name.arg, default, inner)
                self.block(node.body, inner)
            case ast.Assign():
                for target in node.targets:
                    self._assigned(target, node.value, scope)
            case ast.AnnAssign() if node.value is not None:
                self._assigned(node.target, node.value, scope)
            case ast.Expr(value=ast.Call() as call):
                self._call(call, scope)
            case ast.Return(value=ast.Call() as call):
                self._new_model("model", call, scope)
            case ast.If() | ast.With() | ast.Try():
                self.block(node.body, scope)
                self.block(getattr(node, "orelse", []), scope)
            case ast.For() | ast.While():
                self._loop(node, scope)

    def _assigned(self, target: ast.expr, value: ast.expr, scope: _Scope) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for one, its in zip(target.elts, value.elts, strict=True):
                self._assigned(one, its, scope)
        elif isinstance(target, ast.Name):
            self._assign(target.id, value, scope)
        if isinstance(value, ast.Call):
            self._call(value, scope)

    def _assign(self, name: str, value: ast.expr, scope: _Scope) -> None:
        scope.models.pop(name, None)
        scope.values.pop(name, None)
        scope.lists.pop(name, None)
        if isinstance(value, ast.Call) and self._new_model(name, value, scope):
            return
        if isinstance(value, ast.Name) and value.id in scope.models:
            scope.models[name] = scope.models[value.id]
            return
        if isinstance(value, ast.List) and any(isinstance(element, ast.Call) for element in value.elts):
            scope.lists[name] = list(self._listed(value, scope))
            return
        try:
            scope.values[name] = _value(value, scope)
        except _Unknown:
            return

    def _new_model(self, name: str, call: ast.Call, scope: _Scope) -> bool:
        if _called(call.func, scope) != "Sequential":
            return False
        model = _Building(name, call.lineno, [])
        self._building.append(model)
        scope.models[name] = model
        given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "layers"), None)
        if isinstance(given, ast.Name) and given.id in scope.lists:
            model.calls += scope.lists[given.id]
        elif given is not None:
            model.calls += self._listed(given, scope)
        return True

    def _listed(self, node: ast.expr, scope: _Scope) -> Iterator[tuple[ast.Call, _Scope]]:
        elements = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
        for element in elements:
            if isinstance(element, ast.Call):
                yield element, scope.inner()
            else:
                what = f'"{ast.unparse(element)[:60]}" is no layer that can be read here'
                self._problems.append(Problem(what, "write the layers out", file=self.file, line=element.lineno))

    def _call(self, call: ast.Call, scope: _Scope) -> None:
        """``model.add(...)``, and what else is worth knowing: data, optimizer, epochs."""
        if not isinstance(call.func, ast.Attribute):
            return
        owner, deed = call.func.value, call.func.attr
        model = scope.models.get(owner.id) if isinstance(owner, ast.Name) else None
        if deed == "load_data":
            self.found.data = self.found.data or _DATA.get(_called(owner, scope), "")
        elif model is not None and deed == "add":
            added = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "layer"), None)
            if added is not None:
                model.calls += self._listed(added, scope)
        elif model is not None and deed in ("compile", "fit"):
            self._training(call, scope, deed)

    def _training(self, call: ast.Call, scope: _Scope, deed: str) -> None:
        wanted = ("optimizer",) if deed == "compile" else ("epochs", "batch_size")
        found = self.found.training
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if deed == "compile" and call.args:
            given["optimizer"] = call.args[0]
        for name in wanted:
            try:
                value = _value(given[name], scope) if name in given else None
            except _Unknown:
                value = _optimizer(given[name], scope)
            is_right = isinstance(value, str | dict) if name == "optimizer" else isinstance(value, int)
            if value is not None and is_right:
                found.setdefault(name, value.lower() if isinstance(value, str) else value)
            elif name == "batch_size" and name not in given:
                found.setdefault(name, 32)  # Keras's own

    def _loop(self, node: ast.For | ast.While, scope: _Scope) -> None:
        """A loop may add layers; how often is not worked out."""
        for inner in ast.walk(node):
            if not (isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr == "add"):
                continue
            owner = inner.func.value
            if isinstance(owner, ast.Name) and owner.id in scope.models:
                what = "layers are added in a loop, which is not run here"
                self._problems.append(Problem(what, "write the layers out", file=self.file, line=inner.lineno))
                return
        for inner in ast.walk(node):  # a loop over settings that makes a model each time
            if isinstance(inner, ast.Call) and _called(inner.func, scope) == "Sequential":
                held = scope.inner()
                if isinstance(node, ast.For):
                    for name in ast.walk(node.target):
                        if isinstance(name, ast.Name):
                            held.values.pop(name.id, None)
                self.block(node.body, held)
                return

    def _layer(self, call: ast.Call, scope: _Scope) -> list[LayerConfig]:
        kind = _called(call.func, scope)
        kind = _OTHER_NAMES.get(kind, kind)
        place = f"{kind}(...)"

        def refuse(what: str, fix: str) -> SpecError:
            return SpecError(Problem(what, fix, place, self.file, call.lineno))

        if kind in scope.custom:
            raise refuse("this class is the file's own, and its code is never run", "use Keras's own layers")
        if kind == "Sequential":
            inner = _Building("", call.lineno, [])
            if call.args:
                inner.calls += self._listed(call.args[0], scope)
            return [layer for call, scope in inner.calls for layer in self._layer(call, scope)]
        if kind not in KINDS:
            return [LayerConfig(kind, {}, place, call.lineno)]
        names = _POSITIONS.get(kind, ())
        if len(call.args) > len(names) or any(isinstance(argument, ast.Starred) for argument in call.args):
            raise refuse("what stands in its brackets cannot be read", "name its settings: Conv2D(filters=32, ...)")
        given: list[tuple[str | None, ast.expr]] = [
            *zip(names, call.args, strict=False),
            *((keyword.arg, keyword.value) for keyword in call.keywords),
        ]
        settings: dict[str, Any] = {}
        for name, node in given:
            if name is None:
                raise refuse("its settings come from a dictionary", "write them out")
            if name in ("name", "seed", "noise_shape", "trainable", "dtype", "bias_initializer"):
                continue
            if name.endswith("_initializer"):
                settings[name] = (
                    node.value if isinstance(node, ast.Constant) else _called(getattr(node, "func", node), scope)
                )
                continue
            try:
                settings["activation" if name == "activation" else name] = (
                    _function(node, scope) if name == "activation" else _setting(name, node, scope)
                )
            except _Unknown as unknown:
                what = f"{name} is {unknown.text}, which cannot be worked out without running the code"
                raise refuse(what, "write the value") from None
        return [LayerConfig(kind, settings, place, call.lineno)]


def _called(node: ast.expr, scope: _Scope) -> str:
    """The last name of what is called, as it is called where it comes from."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return scope.imported.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _setting(name: str, node: ast.expr, scope: _Scope) -> Any:
    if name.endswith("_regularizer") and isinstance(node, ast.Call):
        kind = _called(node.func, scope).lower().replace("_", "")
        names = {"l1": ("l1",), "l2": ("l2",), "l1l2": ("l1", "l2")}.get(kind)
        if names is None:
            raise _Unknown(node)
        settings = dict(zip(names, (_value(argument, scope) for argument in node.args), strict=False))
        for keyword in node.keywords:
            settings[{"l": kind}.get(keyword.arg or "", keyword.arg or "")] = _value(keyword.value, scope)
        return {"class_name": kind, "config": settings}
    return _value(node, scope)


def _function(node: ast.expr, scope: _Scope) -> Any:
    """An activation: its name, or a function of Keras's or TensorFlow's such as ``tf.nn.relu``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name) and node.id in scope.imported:
        return scope.imported[node.id]
    return _value(node, scope)


def _optimizer(call: ast.expr, scope: _Scope) -> Any:
    """An optimizer's name, with its learning rate if that is plain; ``None`` if it cannot be worked out."""
    if not isinstance(call, ast.Call):
        return None
    name = _called(call.func, scope).lower()
    rate = (
        call.args[0] if call.args else next((k.value for k in call.keywords if k.arg in ("learning_rate", "lr")), None)
    )
    try:
        value = _value(rate, scope) if rate is not None else None
    except _Unknown:
        return None
    return {"name": name, "learning_rate": float(value)} if isinstance(value, int | float) else name


def _value(node: ast.expr, scope: _Scope) -> Any:
    """A plain value: a constant, a name for one, a tuple or arithmetic of them.

    Raises:
        _Unknown: It is something else.
    """
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return node.value
        case ast.Name() if node.id in scope.values:
            return scope.values[node.id]
        case ast.Tuple() | ast.List():
            return tuple(_value(element, scope) for element in node.elts)
        case ast.UnaryOp(op=ast.USub()):
            value = _value(node.operand, scope)
            if isinstance(value, int | float):
                return -value
        case ast.BinOp() if type(node.op) in _OPERATORS:
            left, right = _value(node.left, scope), _value(node.right, scope)
            if all(isinstance(side, int | float) and abs(side) < _MOST_NUMBER for side in (left, right)):
                try:
                    return _OPERATORS[type(node.op)](left, right)
                except ArithmeticError:
                    raise _Unknown(node) from None
        case ast.Subscript(value=ast.Name() as name, slice=ast.Constant(value=int() as index)):
            values = scope.values.get(name.id)
            if isinstance(values, tuple) and -len(values) <= index < len(values):
                return values[index]
    raise _Unknown(node)
