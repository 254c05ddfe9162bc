"""Collects the Keras models that Python source defines, by abstract evaluation: nothing of it is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from ..errors import Problem, SpecError
from .calls import OPTIMIZER_SETTINGS, layer_config, optimizer_of
from .configs import LayerConfig
from .converted import SIGNATURES, Converted, convert
from .scope import Building, Function, Scope, Unknown, called_name, iterated, truth_of, value_of
from .syntax import CHANGES, assigned_in, changed_elsewhere, makes_models, targets, within

_DATA = {"mnist": "mnist", "fashion_mnist": "fashion_mnist", "cifar10": "cifar10", "cifar100": "cifar100"}
_DEFAULTS = {"optimizer": "rmsprop", "epochs": 1, "batch_size": 32}  # Keras's own defaults
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


class _Leaves(Enum):
    """Whether statements leave their function or loop."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class Reader:
    """Goes through statements in their order."""

    def __init__(self, file: str, tree: ast.Module) -> None:
        self.file = file
        self.source = Source()
        self._building: list[Building] = []
        self._problems: list[Problem] = []
        self._doubts: list[str] = []  # the blocks around the statement that may run never or more than once
        self._functions: list[Function] = []
        self._running: list[Function] = []
        self._returned: list[list[Building | None]] = [[]]
        self._calls = 0
        self._repeats = 1
        self._settings: dict[str, tuple[Any, int]] = {}
        self._never = {name for node in ast.walk(tree) for name in changed_elsewhere(node)}

    def block(self, statements: Sequence[ast.stmt], scope: Scope) -> _Leaves:
        """Whether the statements leave the function or loop that they stand in."""
        doubts = len(self._doubts)
        leaves = _Leaves.NO
        for statement in statements:
            now = self._statement(statement, scope)
            if now is _Leaves.YES:
                leaves = now if leaves is _Leaves.NO else leaves
                break
            if now is _Leaves.MAYBE:
                leaves = now
                self._doubts.append("behind a condition")
        del self._doubts[doubts:]
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
            self.source.models.append(SourceModel(name, converted, model.line))
        if self._problems:
            raise SpecError(list({(one.line, str(one)): one for one in self._problems}.values()))
        if not self.source.models:
            fix = "only Sequential models are read: Sequential([...]) or model.add(...)"
            raise SpecError(Problem("there is no Sequential model in it", fix, file=self.file))
        return self.source

    def _note(self, sentence: str) -> None:
        if sentence not in self.source.notes:
            self.source.notes.append(sentence)

    def _refuse(self, what: str, node: ast.expr | ast.stmt, fix: str = "write the layers out") -> None:
        self._problems.append(Problem(what, fix, file=self.file, line=node.lineno))

    def _statement(self, node: ast.stmt, scope: Scope) -> _Leaves:
        match node:
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    name = alias.asname or alias.name.split(".")[0]
                    scope.forget(name)
                    scope.imported[name] = alias.name.split(".")[-1]
            case ast.ClassDef():
                scope.forget(node.name)
                scope.custom.add(node.name)
                if makes_models([node]):
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
                model = self._expression(node.value, scope) if node.value is not None else None
                self._returned[-1].append(model)
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
                truth = truth_of(node.test, scope)
                if truth is None:
                    return self._branches([node.body, node.orelse], scope)
                taken, left_out = (node.body, node.orelse) if truth else (node.orelse, node.body)
                if makes_models(left_out):
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
                for name in assigned_in([node]):
                    scope.forget(name)
        return _Leaves.NO

    def _branches(self, blocks: Sequence[list[ast.stmt]], scope: Scope) -> _Leaves:
        """Blocks of which one runs: what they assign is not known behind them."""
        start = scope.inner()
        names = {name for block in blocks for name in assigned_in(block)}
        models: dict[str, Building] = {}
        functions: dict[str, Function] = {}
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
        self, names: set[str], scope: Scope, models: dict[str, Building], functions: dict[str, Function]
    ) -> None:
        """After them, these names may stand for one thing or another."""
        models, functions = scope.models | models, scope.functions | functions
        for name in names:
            scope.forget(name)
            if name in models:
                scope.models[name] = replace(models[name], calls=[], is_sure=False)
            if name in functions and makes_models(functions[name].body):
                scope.functions[name] = replace(functions[name], is_sure=False)

    def _loop(self, node: ast.For | ast.While, scope: Scope) -> _Leaves:
        """Over plain values it is run, if it is short; else how often is not known, and so is what it assigns."""
        self._expression(node.iter if isinstance(node, ast.For) else node.test, scope)
        values = iterated(node.iter, scope) if isinstance(node, ast.For) else None
        jumps = any(isinstance(one, ast.Break | ast.Continue | ast.Return) for one in within(node.body))
        if isinstance(node, ast.For) and values is not None and not jumps:
            times = max(len(values), 1)
            if self._repeats * times <= _MOST_REPEATS:
                self._repeats *= times
                for value in values:
                    self._bind(node.target, value, scope)
                    self.block(node.body, scope)
                self._repeats //= times
                return self.block(node.orelse, scope)
        names = assigned_in([node])
        self._doubt(names, scope, {}, {})
        self._doubts.append("in a loop")
        leaves = self.block(node.body, scope)
        models, functions = dict(scope.models), dict(scope.functions)
        self._doubt(names, scope, models, functions)
        self.block(node.orelse, scope)
        self._doubts.pop()
        self._doubt(names, scope, {}, {})
        has_return = any(isinstance(one, ast.Return) for one in within(node.body))
        return _Leaves.MAYBE if leaves is not _Leaves.NO and has_return else _Leaves.NO

    def _bind(self, target: ast.expr, value: Any, scope: Scope) -> None:
        self._forget(target, scope)
        if isinstance(target, ast.Name) and target.id not in self._never:
            scope.values[target.id] = value
        elif isinstance(target, ast.Tuple) and isinstance(value, tuple) and len(value) == len(target.elts):
            for one, its in zip(target.elts, value, strict=True):
                self._bind(one, its, scope)

    def _forget(self, target: ast.AST, scope: Scope) -> None:
        for name in targets(target):
            scope.forget(name)

    def _define(self, name: str, arguments: ast.arguments, body: list[ast.stmt], scope: Scope) -> None:
        defaults = {}
        positional = [*arguments.posonlyargs, *arguments.args]
        given: list[tuple[ast.arg, ast.expr | None]] = [
            *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for argument, default in given:
            if default is not None:
                try:
                    defaults[argument.arg] = value_of(default, scope)
                except Unknown:
                    continue
        scope.functions[name] = function = Function(name, arguments, body, scope, defaults)
        self._functions.append(function)

    def _invoked(self, function: Function, call: ast.Call, scope: Scope) -> Building | None:
        """The model that a call gives: the function is read with the call's values."""
        if not function.is_sure or function in self._running:
            if makes_models(function.body):
                self._refuse(f"what {function.name}(...) makes cannot be evaluated without running the code", call)
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
            with suppress(Unknown):
                values[name] = value_of(argument, scope)
            if isinstance(argument, ast.Name):
                scope.lists.pop(argument.id, None)  # it may be changed there
        function.is_called = True
        return self._run(function, values, models)

    def _run(self, function: Function, values: dict[str, Any], models: dict[str, Building]) -> Building | None:
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
        built = [model for model in returned if model is not None]
        if len(returned) > 1 and built:
            return replace(built[0], calls=[], is_sure=False)
        return built[0] if built else None

    def _assigned(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
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
                    known = value_of(its, before)
                except Unknown:
                    self._assigned(one, its, scope)
                else:
                    self._bind(one, known, scope)
        else:
            self._expression(value, scope)
            try:
                self._bind(target, value_of(value, scope), scope)
            except Unknown:
                self._forget(target, scope)

    def _assign(self, name: str, value: ast.expr, scope: Scope) -> None:
        if isinstance(value, ast.Lambda):
            scope.forget(name)
            body: list[ast.stmt] = [ast.copy_location(ast.Return(value.body), value.body)]
            self._define(name, value.args, body, scope)
            return
        if isinstance(value, ast.Attribute) and value.attr in SIGNATURES:  # Conv = keras.layers.Conv2D
            scope.imported[name] = value.attr
        elif name in SIGNATURES:
            scope.custom.add(name)
        calls = [one for one in value.elts if isinstance(one, ast.Call)] if isinstance(value, ast.List) else []
        if calls and not all(self._gives_model(one, scope) for one in calls):
            layers = list(self._listed(value, scope))
            scope.forget(name)
            scope.lists[name] = layers
            return
        model = self._expression(value, scope, name)
        try:
            known = value_of(value, scope)
        except Unknown:
            scope.forget(name)
        else:
            scope.forget(name)
            if name not in self._never:
                scope.values[name] = known
        if model is not None:
            scope.models[name] = model if name not in self._never else replace(model, calls=[], is_sure=False)

    def _augmented(self, node: ast.AugAssign, scope: Scope) -> None:
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
            value = value_of(ast.copy_location(ast.BinOp(read, node.op, node.value), node), scope)
        except Unknown:
            scope.forget(name)
        else:
            self._bind(node.target, value, scope)

    def _stack(self, name: str, scope: Scope) -> list[tuple[ast.Call, Scope]] | None:
        """A list of layers, or an empty one that may become it."""
        return [] if scope.values.get(name) == () else scope.lists.get(name)

    def _gives_model(self, call: ast.Call, scope: Scope) -> bool:
        return called_name(call.func, scope) == "Sequential" or (
            isinstance(call.func, ast.Name) and call.func.id in scope.functions
        )

    def _expression(self, node: ast.expr, scope: Scope, name: str = "") -> Building | None:
        """The model that it stands for; whatever it makes, adds or trains is noted."""
        match node:
            case ast.Name():
                return scope.models.get(node.id)
            case ast.Call(func=ast.Name() as called) if called.id in scope.functions:
                count = len(self._building)
                model = self._invoked(scope.functions[called.id], node, scope)
                if model is not None and name and any(model is one for one in self._building[count:]):
                    model.name = name
                return model
            case ast.Call() if called_name(node.func, scope) == "Sequential":
                return self._new_model(name or "model", node, scope)
            case ast.Call():
                if not self._call(node, scope):
                    for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                        self._expression(argument, scope)
                return None
            case ast.NamedExpr():
                return self._expression(node.value, scope)
            case ast.IfExp():
                truth = truth_of(node.test, scope)
                if truth is not None:
                    return self._expression(node.body if truth else node.orelse, scope, name)
                self._doubts.append("under a condition")
                model = self._expression(node.body, scope, name)
                other = self._expression(node.orelse, scope, name)
                self._doubts.pop()
                either = model or other
                return None if either is None else replace(either, calls=[], is_sure=False)
            case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                before = scope.inner()
                for inner in ast.walk(node):
                    if isinstance(inner, ast.arg):
                        scope.forget(inner.arg)
                    elif isinstance(inner, ast.comprehension):
                        self._forget(inner.target, scope)
                self._doubts.append("in a loop")
                self._children(node, scope)
                self._doubts.pop()
                scope.back_to(before)
                return None
        self._children(node, scope)
        return None

    def _children(self, node: ast.AST, scope: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._expression(child, scope)
            elif isinstance(child, ast.comprehension):
                self._children(child, scope)

    def _new_model(self, name: str, call: ast.Call, scope: Scope) -> Building:
        model = Building(name, call.lineno, [], len(self._doubts))
        self._building.append(model)
        given = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "layers"), None)
        if isinstance(given, ast.Name) and (stack := self._stack(given.id, scope)) is not None:
            model.calls += stack
        elif given is not None:
            model.calls += self._listed(given, scope)
        return model

    def _listed(self, node: ast.expr, scope: Scope) -> Iterator[tuple[ast.Call, Scope]]:
        elements = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
        for element in elements:
            if isinstance(element, ast.Call):
                yield element, scope.inner()
            else:
                self._refuse(f'"{ast.unparse(element)[:60]}" is no layer that can be read here', element)

    def _call(self, call: ast.Call, scope: Scope) -> bool:
        """``model.add(...)``, and what else is worth knowing: data, optimizer, epochs; whether it was that."""
        if not isinstance(call.func, ast.Attribute):
            return False
        owner, method = call.func.value, call.func.attr
        if method == "load_data":
            self.source.data = self.source.data or _DATA.get(called_name(owner, scope), "")
            return True
        if isinstance(owner, ast.Name) and owner.id not in scope.models and method in CHANGES:
            return self._changed(owner.id, call, scope)
        model = self._expression(owner, scope)
        names = {keyword.arg for keyword in call.keywords}
        if model is not None and method in ("add", "pop"):
            if len(self._doubts) > model.doubts or not model.is_sure:
                place = self._doubts[-1] if self._doubts else "to one model or another"
                known = "run here" if place == "in a loop" else "known without running the code"
                done = "added" if method == "add" else "taken away"
                self._refuse(f"layers are {done} {place}, which is not {known}", call)
            elif method == "pop":
                del model.calls[-1:]
            else:
                added = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "layer"), None)
                model.calls += self._listed(added, scope) if added is not None else []
            return True
        if model is None and method == "add" and self._is_layer(call, scope):
            self._refuse(f"which model {ast.unparse(owner)[:60]} is cannot be evaluated without running the code", call)
            return True
        is_training = {"compile": names & {"optimizer", "loss"}, "fit": names & {"epochs"}}.get(method)
        if is_training or (is_training is not None and model is not None):
            self._training(call, scope, method)
        return False

    def _changed(self, name: str, call: ast.Call, scope: Scope) -> bool:
        """A list of layers that grows, or another list, which is no longer known."""
        assert isinstance(call.func, ast.Attribute)
        stack, method = self._stack(name, scope), call.func.attr
        argument = call.args[0] if call.args else None
        is_one = method == "append" and isinstance(argument, ast.Call) and not self._gives_model(argument, scope)
        if stack is not None and argument is not None and (is_one or (method, type(argument)) == ("extend", ast.List)):
            scope.forget(name)
            scope.lists[name] = [*stack, *self._listed(argument, scope)]
            return True
        if method == "add" and self._is_layer(call, scope) and all(one.is_called for one in self._running):
            self._refuse(f"which model {name} is cannot be evaluated without running the code", call)
            return True
        scope.values.pop(name, None)
        scope.lists.pop(name, None)
        return False

    def _is_layer(self, call: ast.Call, scope: Scope) -> bool:
        argument = call.args[0] if call.args else None
        return isinstance(argument, ast.Call) and called_name(argument.func, scope) in SIGNATURES

    def _training(self, call: ast.Call, scope: Scope, method: str) -> None:
        names = ("optimizer",) if method == "compile" else ("epochs", "batch_size")
        positions = names if method == "compile" else ("x", "y", "batch_size", "epochs")
        given = dict(zip(positions, call.args, strict=False)) | {one.arg: one.value for one in call.keywords}
        is_open = None in given or any(isinstance(one, ast.Starred) for one in call.args)  # what is in them may say it
        for name in names:
            node = given.get(name)
            try:
                value = value_of(node, scope) if node is not None else None
            except Unknown:
                value = optimizer_of(node, scope) if node is not None and name == "optimizer" else None
                if isinstance(node, ast.Call) and value is not None:
                    for keyword in node.keywords:
                        if keyword.arg not in (*OPTIMIZER_SETTINGS, "learning_rate", "lr", "name"):
                            self._note(
                                f"The optimizer's {keyword.arg} (line {keyword.value.lineno}) is not taken over."
                            )
            is_right = isinstance(value, str | dict) if name == "optimizer" else isinstance(value, int)
            if value is not None and is_right:
                self._set(name, value.lower() if isinstance(value, str) else value, call)
            elif node is None and not is_open:
                self._set(name, _DEFAULTS[name], call)
            elif node is not None and not (isinstance(node, ast.Constant) and node.value is None):
                self._note(
                    f"{name} is {ast.unparse(node)[:60]} in line {call.lineno}, which cannot be evaluated without "
                    "running the code; write the value into the study."
                )

    def _set(self, name: str, value: Any, call: ast.Call) -> None:
        first, line = self._settings.setdefault(name, (value, call.lineno))
        if first != value:
            self._note(f"{name} is {first} in line {line} and {value} in line {call.lineno}; the first is written.")
        self.source.training[name] = first

    def _layer(self, call: ast.Call, scope: Scope) -> list[LayerConfig]:
        kind = called_name(call.func, scope)
        place = f"{kind}(...)"

        def refuse(what: str, fix: str) -> SpecError:
            return SpecError(Problem(what, fix, place, self.file, call.lineno))

        if kind in scope.custom:
            raise refuse("this class is the file's own, and its code is never run", "use Keras's own layers")
        if isinstance(call.func, ast.Name) and call.func.id in scope.functions:
            raise refuse("this function is the file's own, and what it gives is not evaluated", "write the layers out")
        if kind == "Sequential":
            inner = Building("", call.lineno, [])
            if call.args:
                inner.calls += self._listed(call.args[0], scope)
            return [layer for call, scope in inner.calls for layer in self._layer(call, scope)]
        return [layer_config(kind, call, scope, self.file)]
