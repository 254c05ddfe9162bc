"""Keras code as layer words: scripts and notebooks are parsed, never run."""

from __future__ import annotations

import ast
import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
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
_COMPARISONS: Mapping[type[ast.AST], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_CHANGES = ("add", "append", "extend", "insert", "pop", "remove", "clear", "sort", "reverse")
_OPTIMIZER_SETTINGS = ("momentum", "nesterov", "beta_1", "beta_2", "rho", "epsilon", "centered", "weight_decay")
_MOST_REPEATS = 256
_MOST_CALLS = 2000


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
        reader = _Reader(file, tree)
        reader.block(tree.body, _Scope({"__name__": "__main__"}))
        return reader.finished()
    except SyntaxError as error:
        what = f"it is no Python ({error.msg})"
        raise DataError(Problem(what, "give a script or notebook that runs", file=file, line=error.lineno)) from None
    except (RecursionError, MemoryError, ValueError) as error:
        what = f"its code cannot be read ({type(error).__name__})"
        raise DataError(Problem(what, "give a simpler file", file=file)) from None


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


class _Leaves(Enum):
    """Whether statements leave their function or loop."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class _Unknown(Exception):
    """A value that cannot be worked out without running the code."""

    def __init__(self, node: ast.AST) -> None:
        self.text = ast.unparse(node)[:60]
        super().__init__(self.text)


@dataclass(eq=False)
class _Building:
    """A model whose layers are being added; ``doubts`` is how many unsure blocks it was made in."""

    name: str
    line: int
    calls: list[tuple[ast.Call, _Scope]]
    doubts: int = 0
    is_sure: bool = True


@dataclass(eq=False)
class _Function:
    """A function of the file's own, read anew at each call."""

    name: str
    arguments: ast.arguments
    body: list[ast.stmt]
    scope: _Scope
    defaults: dict[str, Any]
    is_called: bool = False
    is_sure: bool = True


@dataclass(eq=False)
class _Scope:
    """Names that stand for plain values, for imported things and for models."""

    values: dict[str, Any] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    models: dict[str, _Building] = field(default_factory=dict)
    custom: set[str] = field(default_factory=set)
    lists: dict[str, list[tuple[ast.Call, _Scope]]] = field(default_factory=dict)
    functions: dict[str, _Function] = field(default_factory=dict)

    def inner(self) -> _Scope:
        """What is known here, for statements that may come to know more."""
        return _Scope(
            dict(self.values), dict(self.imported), dict(self.models), set(self.custom), dict(self.lists),
            dict(self.functions),
        )  # fmt: skip

    def back_to(self, other: _Scope) -> None:
        """What was known before; imports and classes stay."""
        self.values, self.models = dict(other.values), dict(other.models)
        self.lists, self.functions = dict(other.lists), dict(other.functions)

    def forget(self, name: str) -> None:
        self.values.pop(name, None)
        self.models.pop(name, None)
        self.lists.pop(name, None)
        self.functions.pop(name, None)


class _Reader:
    """Goes through statements in their order."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.file = file
        self.found = Source()
        self._building: list[_Building] = []
        self._problems: list[Problem] = []
        self._doubts: list[str] = []  # the blocks around the statement that may run never or more than once
        self._functions: list[_Function] = []
        self._running: list[_Function] = []
        self._returned: list[list[_Building | None]] = [[]]
        self._calls = 0
        self._repeats = 1
        self._said: dict[str, tuple[Any, int]] = {}
        self._never = {name for node in ast.walk(tree) for name in _changed_elsewhere(node)}

    def block(self, statements: Sequence[ast.stmt], scope: _Scope) -> _Leaves:
        """Whether the statements leave the function or loop that they stand in."""
        held = len(self._doubts)
        leaves = _Leaves.NO
        for statement in statements:
            now = self._statement(statement, scope)
            if now is _Leaves.YES:
                leaves = now if leaves is _Leaves.NO else leaves
                break
            if now is _Leaves.MAYBE:
                leaves = now
                self._doubts.append("behind a condition")
        del self._doubts[held:]
        return leaves

    def finished(self) -> Source:
        for function in self._functions:  # reading one may find others
            if not function.is_called:
                self._run(function, {}, {})
        used: dict[str, int] = {}
        seen: dict[tuple[int, tuple[str, ...]], str] = {}
        for model in self._building:
            if not model.calls:
                continue
            try:
                layers = [layer for call, scope in model.calls for layer in self._layer(call, scope)]
                converted = convert(layers, file=self.file)
            except SpecError as error:
                self._problems += error.problems
                continue
            key = (model.line, tuple(converted.lines))
            if key in seen:
                self._note(f'Line {model.line} makes the same network more than once; the arm "{seen[key]}" is it.')
                continue
            number = used[model.name] = used.get(model.name, 0) + 1
            name = model.name if number == 1 else f"{model.name}-{number}"
            seen[key] = name
            self.found.models.append(SourceModel(name, converted, model.line))
        if self._problems:
            raise SpecError(list({(one.line, str(one)): one for one in self._problems}.values()))
        if not self.found.models:
            fix = "only Sequential models are read: Sequential([...]) or model.add(...)"
            raise SpecError(Problem("there is no Sequential model in it", fix, file=self.file))
        return self.found

    def _note(self, sentence: str) -> None:
        if sentence not in self.found.notes:
            self.found.notes.append(sentence)

    def _refuse(self, what: str, node: ast.expr | ast.stmt, fix: str = "write the layers out") -> None:
        self._problems.append(Problem(what, fix, file=self.file, line=node.lineno))

    def _statement(self, node: ast.stmt, scope: _Scope) -> _Leaves:
        match node:
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    name = alias.asname or alias.name.split(".")[0]
                    scope.forget(name)
                    scope.imported[name] = alias.name.split(".")[-1]
            case ast.ClassDef():
                scope.forget(node.name)
                scope.custom.add(node.name)
                if _makes_models([node]):
                    self._note(f"The class {node.name} (line {node.lineno}) makes a model, and classes are not read.")
            case ast.FunctionDef():
                scope.forget(node.name)
                self._define(node.name, node.args, node.body, scope)
            case ast.Assign():
                for target in node.targets[:-1]:
                    self._forget(target, scope)
                self._assigned(node.targets[-1], node.value, scope)
                for target in node.targets[:-1]:
                    self._assigned(target, node.targets[-1], scope)
            case ast.AnnAssign() if node.value is not None:
                self._assigned(node.target, node.value, scope)
            case ast.AugAssign():
                self._augmented(node, scope)
            case ast.Delete():
                for target in node.targets:
                    self._forget(target, scope)
            case ast.Expr():
                self._expression(node.value, scope)
            case ast.Return():
                made = self._expression(node.value, scope) if node.value is not None else None
                self._returned[-1].append(made)
                return _Leaves.YES
            case ast.Break() | ast.Continue():
                return _Leaves.YES
            case ast.With():
                for item in node.items:
                    self._expression(item.context_expr, scope)
                    if item.optional_vars is not None:
                        self._forget(item.optional_vars, scope)
                return self.block(node.body, scope)
            case ast.If():
                self._expression(node.test, scope)
                truth = _truth(node.test, scope)
                if truth is None:
                    return self._branches([node.body, node.orelse], scope)
                taken, left_out = (node.body, node.orelse) if truth else (node.orelse, node.body)
                if _makes_models(left_out):
                    self._note(f"Line {left_out[0].lineno} is not read: line {node.lineno} says {truth}.")
                return self.block(taken, scope)
            case ast.Try() | ast.TryStar():
                leaves = self._branches([[*node.body, *node.orelse], *(one.body for one in node.handlers)], scope)
                final = self.block(node.finalbody, scope)
                return leaves if final is _Leaves.NO else final
            case ast.Match():
                self._expression(node.subject, scope)
                for case in node.cases:
                    self._forget(case.pattern, scope)
                return self._branches([*(case.body for case in node.cases), []], scope)
            case ast.For() | ast.While():
                return self._loop(node, scope)
            case _:
                for name in _assigned_in([node]):
                    scope.forget(name)
        return _Leaves.NO

    def _branches(self, blocks: Sequence[list[ast.stmt]], scope: _Scope) -> _Leaves:
        """Blocks of which one runs: what they assign is not known behind them."""
        start = scope.inner()
        names = {name for block in blocks for name in _assigned_in(block)}
        models: dict[str, _Building] = {}
        functions: dict[str, _Function] = {}
        leaves = []
        for block in blocks:
            scope.back_to(start)
            self._doubts.append("under a condition")
            leaves.append(self.block(block, scope))
            self._doubts.pop()
            models |= scope.models
            functions |= scope.functions
        scope.back_to(start)
        self._doubt(names, scope, models, functions)
        if all(one is _Leaves.YES for one in leaves):
            return _Leaves.YES
        return _Leaves.NO if all(one is _Leaves.NO for one in leaves) else _Leaves.MAYBE

    def _doubt(
        self, names: set[str], scope: _Scope, models: dict[str, _Building], functions: dict[str, _Function]
    ) -> None:
        """After them, these names may stand for one thing or another."""
        models, functions = scope.models | models, scope.functions | functions
        for name in names:
            scope.forget(name)
            if name in models:
                scope.models[name] = replace(models[name], calls=[], is_sure=False)
            if name in functions and _makes_models(functions[name].body):
                scope.functions[name] = replace(functions[name], is_sure=False)

    def _loop(self, node: ast.For | ast.While, scope: _Scope) -> _Leaves:
        """Over plain values it is run, if it is short; else how often is not known, and so is what it assigns."""
        self._expression(node.iter if isinstance(node, ast.For) else node.test, scope)
        values = _iterated(node.iter, scope) if isinstance(node, ast.For) else None
        jumps = any(isinstance(one, ast.Break | ast.Continue | ast.Return) for one in _within(node.body))
        if isinstance(node, ast.For) and values is not None and not jumps:
            times = max(len(values), 1)
            if self._repeats * times <= _MOST_REPEATS:
                self._repeats *= times
                for value in values:
                    self._bind(node.target, value, scope)
                    self.block(node.body, scope)
                self._repeats //= times
                return self.block(node.orelse, scope)
        names = _assigned_in([node])
        self._doubt(names, scope, {}, {})
        self._doubts.append("in a loop")
        leaves = self.block(node.body, scope)
        models, functions = dict(scope.models), dict(scope.functions)
        self._doubt(names, scope, models, functions)
        self.block(node.orelse, scope)
        self._doubts.pop()
        self._doubt(names, scope, {}, {})
        has_return = any(isinstance(one, ast.Return) for one in _within(node.body))
        return _Leaves.MAYBE if leaves is not _Leaves.NO and has_return else _Leaves.NO

    def _bind(self, target: ast.expr, value: Any, scope: _Scope) -> None:
        self._forget(target, scope)
        if isinstance(target, ast.Name) and target.id not in self._never:
            scope.values[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple) and len(value) == len(target.elts):
            for one, its in zip(target.elts, value, strict=True):
                self._bind(one, its, scope)

    def _forget(self, target: ast.AST, scope: _Scope) -> None:
        for name in _targets(target):
            scope.forget(name)

    def _define(self, name: str, arguments: ast.arguments, body: list[ast.stmt], scope: _Scope) -> None:
        defaults = {}
        positional = [*arguments.posonlyargs, *arguments.args]
        given: list[tuple[ast.arg, ast.expr | None]] = [
            *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for argument, default in given:
            if default is not None:
                try:
                    defaults[argument.arg] = _value(default, scope)
                except _Unknown:
                    continue
        scope.functions[name] = function = _Function(name, arguments, body, scope, defaults)
        self._functions.append(function)

    def _invoked(self, function: _Function, call: ast.Call, scope: _Scope) -> _Building | None:
        """The model that a call gives: the function is read with the call's values."""
        if not function.is_sure or function in self._running:
            if _makes_models(function.body):
                self._refuse(f"what {function.name}(...) makes cannot be worked out without running the code", call)
            return None
        arguments = function.arguments
        positional = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        values, models = dict(function.defaults), {}
        given: list[tuple[str, ast.expr]] = []
        if any(isinstance(one, ast.Starred) for one in call.args) or any(one.arg is None for one in call.keywords):
            values = {}
        else:
            given += zip(positional, call.args, strict=False)
        given += [(one.arg, one.value) for one in call.keywords if one.arg is not None]
        for one in call.args[len(given) :]:
            self._expression(one, scope)
        for name, argument in given:
            values.pop(name, None)
            model = self._expression(argument, scope)
            if model is not None:
                models[name] = model
                continue
            with suppress(_Unknown):
                values[name] = _value(argument, scope)
            if isinstance(argument, ast.Name):
                scope.lists.pop(argument.id, None)  # it may be changed there
        function.is_called = True
        return self._run(function, values, models)

    def _run(self, function: _Function, values: dict[str, Any], models: dict[str, _Building]) -> _Building | None:
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise ValueError("too many calls")
        arguments = function.arguments
        inner = function.scope.inner()
        for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg):
            if one is not None:
                inner.forget(one.arg)
        inner.values.update(values if function.is_called else function.defaults)
        for name in self._never:
            inner.values.pop(name, None)
        inner.models.update(models)
        self._running.append(function)
        self._returned.append([])
        self.block(function.body, inner)
        self._running.pop()
        returned = self._returned.pop()
        made = [model for model in returned if model is not None]
        if len(returned) > 1 and made:
            return replace(made[0], calls=[], is_sure=False)
        return made[0] if made else None

    def _assigned(self, target: ast.expr, value: ast.expr, scope: _Scope) -> None:
        if isinstance(target, ast.Name):
            self._assign(target.id, value, scope)
        elif (
            isinstance(target, ast.Tuple | ast.List)
            and isinstance(value, ast.Tuple | ast.List)
            and len(target.elts) == len(value.elts)
            and not any(isinstance(one, ast.Starred) for one in (*target.elts, *value.elts))
        ):
            before = scope.inner()  # a, b = b, a
            for one, its in zip(target.elts, value.elts, strict=True):
                try:
                    known = _value(its, before)
                except _Unknown:
                    self._assigned(one, its, scope)
                else:
                    self._bind(one, known, scope)
        else:
            self._expression(value, scope)
            try:
                self._bind(target, _value(value, scope), scope)
            except _Unknown:
                self._forget(target, scope)

    def _assign(self, name: str, value: ast.expr, scope: _Scope) -> None:
        if isinstance(value, ast.Lambda):
            scope.forget(name)
            body: list[ast.stmt] = [ast.copy_location(ast.Return(value.body), value.body)]
            self._define(name, value.args, body, scope)
            return
        if isinstance(value, ast.Attribute) and value.attr in KINDS:  # Conv = keras.layers.Conv2D
            scope.imported[name] = value.attr
        elif name in KINDS:
            scope.custom.add(name)
        calls = [one for one in value.elts if isinstance(one, ast.Call)] if isinstance(value, ast.List) else []
        if calls and not all(self._gives_model(one, scope) for one in calls):
            layers = list(self._listed(value, scope))
            scope.forget(name)
            scope.lists[name] = layers
            return
        model = self._expression(value, scope, name)
        try:
            known = _value(value, scope)
        except _Unknown:
            scope.forget(name)
        else:
            scope.forget(name)
            if name not in self._never:
                scope.values[name] = known
        if model is not None:
            scope.models[name] = model if name not in self._never else replace(model, calls=[], is_sure=False)

    def _augmented(self, node: ast.AugAssign, scope: _Scope) -> None:
        self._expression(node.value, scope)
        if not isinstance(node.target, ast.Name):
            self._forget(node.target, scope)
            return
        name = node.target.id
        stack = self._stack(name, scope)
        if stack is not None and isinstance(node.op, ast.Add) and isinstance(node.value, ast.List):
            scope.forget(name)
            scope.lists[name] = [*stack, *self._listed(node.value, scope)]
            return
        read = ast.copy_location(ast.Name(name, ast.Load()), node)
        try:
            value = _value(ast.copy_location(ast.BinOp(read, node.op, node.value), node), scope)
        except _Unknown:
            scope.forget(name)
        else:
            self._bind(node.target, value, scope)

    def _stack(self, name: str, scope: _Scope) -> list[tuple[ast.Call, _Scope]] | None:
        """A list of layers, or an empty one that may become it."""
        return [] if scope.values.get(name) == () else scope.lists.get(name)

    def _gives_model(self, call: ast.Call, scope: _Scope) -> bool:
        return _called(call.func, scope) == "Sequential" or (
            isinstance(call.func, ast.Name) and call.func.id in scope.functions
        )

    def _expression(self, node: ast.expr, scope: _Scope, name: str = "") -> _Building | None:
        """The model that it stands for; whatever it makes, adds or trains is noted."""
        match node:
            case ast.Name():
                return scope.models.get(node.id)
            case ast.Call(func=ast.Name() as called) if called.id in scope.functions:
                count = len(self._building)
                made = self._invoked(scope.functions[called.id], node, scope)
                if made is not None and name and any(made is one for one in self._building[count:]):
                    made.name = name
                return made
            case ast.Call() if _called(node.func, scope) == "Sequential":
                return self._new_model(name or "model", node, scope)
            case ast.Call():
                if not self._call(node, scope):
                    for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                        self._expression(argument, scope)
                return None
            case ast.NamedExpr():
                return self._expression(node.value, scope)
            case ast.IfExp():
                truth = _truth(node.test, scope)
                if truth is not None:
                    return self._expression(node.body if truth else node.orelse, scope, name)
                self._doubts.append("under a condition")
                made = self._expression(node.body, scope, name)
                other = self._expression(node.orelse, scope, name)
                self._doubts.pop()
                either = made or other
                return None if either is None else replace(either, calls=[], is_sure=False)
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                held = scope.inner()
                for inner in ast.walk(node):
                    if isinstance(inner, ast.arg):
                        scope.forget(inner.arg)
                    elif isinstance(inner, ast.comprehension):
                        self._forget(inner.target, scope)
                self._doubts.append("in a loop")
                self._children(node, scope)
                self._doubts.pop()
                scope.back_to(held)
                return None
        self._children(node, scope)
        return None

    def _children(self, node: ast.AST, scope: _Scope) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._expression(child, scope)
            elif isinstance(child, ast.comprehension):
                self._children(child, scope)

    def _new_model(self, name: str, call: ast.Call, scope: _Scope) -> _Building:
        model = _Building(name, call.lineno, [], len(self._doubts))
        self._building.append(model)
        given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "layers"), None)
        if isinstance(given, ast.Name) and (stack := self._stack(given.id, scope)) is not None:
            model.calls += stack
        elif given is not None:
            model.calls += self._listed(given, scope)
        return model

    def _listed(self, node: ast.expr, scope: _Scope) -> Iterator[tuple[ast.Call, _Scope]]:
        elements = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
        for element in elements:
            if isinstance(element, ast.Call):
                yield element, scope.inner()
            else:
                self._refuse(f'"{ast.unparse(element)[:60]}" is no layer that can be read here', element)

    def _call(self, call: ast.Call, scope: _Scope) -> bool:
        """``model.add(...)``, and what else is worth knowing: data, optimizer, epochs; whether it was that."""
        if not isinstance(call.func, ast.Attribute):
            return False
        owner, deed = call.func.value, call.func.attr
        if deed == "load_data":
            self.found.data = self.found.data or _DATA.get(_called(owner, scope), "")
            return True
        if isinstance(owner, ast.Name) and owner.id not in scope.models and deed in _CHANGES:
            return self._changed(owner.id, call, scope)
        model = self._expression(owner, scope)
        names = {keyword.arg for keyword in call.keywords}
        if model is not None and deed in ("add", "pop"):
            if len(self._doubts) > model.doubts or not model.is_sure:
                place = self._doubts[-1] if self._doubts else "to one model or another"
                known = "run here" if place == "in a loop" else "known without running the code"
                done = "added" if deed == "add" else "taken away"
                self._refuse(f"layers are {done} {place}, which is not {known}", call)
            elif deed == "pop":
                del model.calls[-1:]
            else:
                added = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "layer"), None)
                model.calls += self._listed(added, scope) if added is not None else []
            return True
        if model is None and deed == "add" and self._is_layer(call, scope):
            self._refuse(
                f"which model {ast.unparse(owner)[:60]} is cannot be worked out without running the code", call
            )
            return True
        is_training = {"compile": names & {"optimizer", "loss"}, "fit": names & {"epochs"}}.get(deed)
        if is_training or (is_training is not None and model is not None):
            self._training(call, scope, deed)
        return False

    def _changed(self, name: str, call: ast.Call, scope: _Scope) -> bool:
        """A list of layers that grows, or another list, which is no longer known."""
        assert isinstance(call.func, ast.Attribute)
        stack, deed = self._stack(name, scope), call.func.attr
        argument = call.args[0] if call.args else None
        is_one = deed == "append" and isinstance(argument, ast.Call) and not self._gives_model(argument, scope)
        if stack is not None and argument is not None and (is_one or (deed, type(argument)) == ("extend", ast.List)):
            scope.forget(name)
            scope.lists[name] = [*stack, *self._listed(argument, scope)]
            return True
        if deed == "add" and self._is_layer(call, scope) and all(one.is_called for one in self._running):
            self._refuse(f"which model {name} is cannot be worked out without running the code", call)
            return True
        scope.values.pop(name, None)
        scope.lists.pop(name, None)
        return False

    def _is_layer(self, call: ast.Call, scope: _Scope) -> bool:
        argument = call.args[0] if call.args else None
        return isinstance(argument, ast.Call) and _called(argument.func, scope) in KINDS

    def _training(self, call: ast.Call, scope: _Scope, deed: str) -> None:
        wanted = ("optimizer",) if deed == "compile" else ("epochs", "batch_size")
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if deed == "compile" and call.args:
            given["optimizer"] = call.args[0]
        for name in wanted:
            node = given.get(name)
            try:
                value = _value(node, scope) if node is not None else None
            except _Unknown:
                value = _optimizer(node, scope) if node is not None and name == "optimizer" else None
                if isinstance(node, ast.Call) and value is not None:
                    for keyword in node.keywords:
                        if keyword.arg not in (*_OPTIMIZER_SETTINGS, "learning_rate", "lr", "name"):
                            self._note(
                                f"The optimizer's {keyword.arg} (line {keyword.value.lineno}) is not taken over."
                            )
            is_right = isinstance(value, str | dict) if name == "optimizer" else isinstance(value, int)
            if value is not None and is_right:
                self._say(name, value.lower() if isinstance(value, str) else value, call)
            elif name == "batch_size" and node is None:
                self._say(name, 32, call)  # Keras's own
            elif node is not None and not (isinstance(node, ast.Constant) and node.value is None):
                self._note(
                    f"{name} is {ast.unparse(node)[:60]} in line {call.lineno}, which cannot be worked out without "
                    "running the code; write the value into the study."
                )

    def _say(self, name: str, value: Any, call: ast.Call) -> None:
        first, line = self._said.setdefault(name, (value, call.lineno))
        if first != value:
            self._note(f"{name} is {first} in line {line} and {value} in line {call.lineno}; the first is written.")
        self.found.training[name] = first

    def _layer(self, call: ast.Call, scope: _Scope) -> list[LayerConfig]:
        kind = _called(call.func, scope)
        kind = _OTHER_NAMES.get(kind, kind)
        place = f"{kind}(...)"

        def refuse(what: str, fix: str) -> SpecError:
            return SpecError(Problem(what, fix, place, self.file, call.lineno))

        if kind in scope.custom:
            raise refuse("this class is the file's own, and its code is never run", "use Keras's own layers")
        if isinstance(call.func, ast.Name) and call.func.id in scope.functions:
            raise refuse("this function is the file's own, and what it gives is not worked out", "write the layers out")
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


def _within(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All that stands in statements, but for the bodies of functions and classes in them."""
    for node in nodes:
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _within(list(ast.iter_child_nodes(node)))


def _targets(node: ast.AST) -> Iterator[str]:
    """The names that an assignment to this changes."""
    match node:
        case ast.Name():
            yield node.id
        case ast.Subscript() | ast.Attribute() | ast.Starred():
            yield from _targets(node.value)
        case ast.Tuple() | ast.List():
            for element in node.elts:
                yield from _targets(element)
        case ast.pattern():
            yield from _assigned_in([node])


def _assigned_in(nodes: Sequence[ast.AST]) -> set[str]:
    names: set[str] = set()
    for node in _within(nodes):
        match node:
            case ast.Name(ctx=ast.Store() | ast.Del()):
                names.add(node.id)
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                names |= set(_targets(node))
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.alias():
                names.add((node.asname or node.name).split(".")[0])
            case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar() if node.name:
                names.add(node.name)
            case ast.MatchMapping() if node.rest:
                names.add(node.rest)
            case ast.Call(func=ast.Attribute(value=ast.Name() as owner, attr=deed)) if deed in _CHANGES[1:]:
                names.add(owner.id)
    return names


def _changed_elsewhere(node: ast.AST) -> Iterator[str]:
    """Names that are assigned in the middle of expressions or from inside functions: never known."""
    if isinstance(node, ast.Global | ast.Nonlocal):
        yield from node.names
    elif isinstance(node, ast.NamedExpr):
        yield node.target.id


def _makes_models(nodes: Sequence[ast.AST]) -> bool:
    return any(
        isinstance(inner, ast.Call)
        and (getattr(inner.func, "id", "") == "Sequential" or getattr(inner.func, "attr", "") in ("Sequential", "add"))
        for node in nodes
        for inner in ast.walk(node)
    )


def _truth(node: ast.expr, scope: _Scope) -> bool | None:
    """Whether a condition of plain values holds; ``None`` if that is not known."""
    try:
        match node:
            case ast.UnaryOp(op=ast.Not()):
                truth = _truth(node.operand, scope)
                return None if truth is None else not truth
            case ast.Compare(ops=[comparison], comparators=[right]) if type(comparison) in _COMPARISONS:
                sides = _value(node.left, scope), _value(right, scope)
                is_plain = not any(isinstance(side, tuple) for side in sides)
                return bool(_COMPARISONS[type(comparison)](*sides)) if is_plain else None
        return bool(_value(node, scope))
    except (_Unknown, TypeError):
        return None


def _iterated(node: ast.expr, scope: _Scope) -> Sequence[Any] | None:
    """The plain values that a loop goes over; ``None`` if they are not known."""
    try:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            bounds = [_value(argument, scope) for argument in node.args]
            is_plain = 1 <= len(bounds) <= 3 and all(
                isinstance(bound, int) and abs(bound) < _MOST_NUMBER for bound in bounds
            )
            return range(*bounds) if is_plain and bounds[2:] != [0] else None
        values = _value(node, scope)
    except _Unknown:
        return None
    return values if isinstance(values, tuple) else None


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
    """An optimizer's name, with its settings if they are plain; ``None`` if it cannot be worked out."""
    if not isinstance(call, ast.Call):
        return None
    name = _called(call.func, scope).lower()
    rate = (
        call.args[0] if call.args else next((k.value for k in call.keywords if k.arg in ("learning_rate", "lr")), None)
    )
    settings: dict[str, Any] = {}
    try:
        value = _value(rate, scope) if rate is not None else None
        for keyword in call.keywords:
            if keyword.arg in _OPTIMIZER_SETTINGS:
                settings[keyword.arg] = _value(keyword.value, scope)
    except _Unknown:
        return None
    if isinstance(value, int | float):
        settings["learning_rate"] = float(value)
    return {"name": name, **settings} if settings else name


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
