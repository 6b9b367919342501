"""Reading what source files declare from their syntax trees, never by importing them: classes, decorators, settings."""

from __future__ import annotations

import ast
import builtins
import contextlib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.catalog.cache import Cache
from harness.catalog.declared import ClassSource, Declared, Decorated, ModuleSource, decoded, encoded
from harness.catalog.literals import NotLiteral, encode, evaluate
from harness.registry import KINDS, RECIPE_GIVEN
from harness.settings import Setting, setting

DECORATORS = {f"harness.registry.{kind}": kind for kind in KINDS if kind not in ("backbone", "suite")}  # those two are YAML


class Tree:
    """A module's syntax tree with its imports and constants."""

    def __init__(self, module: str, path: Path) -> None:
        self.module, self.path = module, path
        self.body = ast.parse(path.read_bytes(), filename=str(path))
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        self.imports: dict[str, str] = {}
        self.constants: dict[str, ast.expr | None] = {}
        for node in self.body.body:
            if isinstance(node, ast.ImportFrom):
                source = _absolute(package, node.module, node.level)
                self.imports |= {alias.asname or alias.name: f"{source}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                self.imports |= {alias.asname or alias.name: alias.name for alias in node.names}
            else:
                for name, value in _assigned(node):
                    self.constants[name] = None if name in self.constants else value  # assigned twice: not constant


def _absolute(package: str, module: str | None, level: int) -> str:
    if not level:
        return module or ""
    parts = package.split(".")
    base = parts[: len(parts) - level + 1]
    return ".".join([*base, module] if module else base)


def _assigned(node: ast.stmt) -> list[tuple[str, ast.expr | None]]:
    """Names that a statement assigns, with the expression where it is a plain assignment to one name."""
    if isinstance(node, ast.AnnAssign):
        return [(node.target.id, node.value)] if isinstance(node.target, ast.Name) and node.value is not None else []
    if isinstance(node, ast.Assign):
        single = len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
        names = [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        return [(name, node.value if single else None) for name in names]
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [(node.name, None)]
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return [(node.target.id, None)]
    return []


class Sources:
    """Reads modules by name. `roots` maps package names to folders (or module names to files); the longest prefix counts."""

    def __init__(self, roots: Mapping[str, Path], cache: Path | None = None) -> None:
        self.roots = dict(roots)
        self.cache = Cache(cache)
        self._trees: dict[str, Tree | None] = {}
        self._sources: dict[str, ModuleSource | None] = {}
        self._touched: list[set[Path]] = []  # files that the modules now being read depend on

    def locate(self, module: str) -> Path | None:
        prefix = module
        while prefix and prefix not in self.roots:
            prefix = prefix.rpartition(".")[0]
        if not prefix:
            return None
        place = self.roots[prefix].joinpath(*module[len(prefix) :].split(".")[1:])
        return next((path for path in (place, place.with_name(place.name + ".py"), place / "__init__.py") if path.is_file()), None)

    def module(self, name: str) -> ModuleSource | None:
        """What module `name` declares; None where there is no such file in reach. A syntax error is its one problem."""
        if name not in self._sources:
            path = self.locate(name)
            self._sources[name] = self._module(name, path) if path is not None else None
        return self._sources[name]

    def _module(self, name: str, path: Path) -> ModuleSource:
        kept = self.cache.get(f"{name} {path}")
        if kept is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError):
                return decoded(kept)
        self._touched.append({path})
        try:
            tree = self.tree(name)
            assert tree is not None
            source = _ModuleReader(self, tree).read()
        except SyntaxError as error:
            source = ModuleSource(problems=[(error.lineno or 1, f"is no Python: {error.msg}")])
        except (OSError, ValueError) as error:
            source = ModuleSource(problems=[(1, f"cannot be read: {error}")])
        self.cache.put(f"{name} {path}", encoded(source), self._touched.pop())
        return source

    def tree(self, name: str) -> Tree | None:
        if name not in self._trees:
            path = self.locate(name)
            self._trees[name] = Tree(name, path) if path is not None else None
        tree = self._trees[name]
        if tree is not None and self._touched:
            self._touched[-1].add(tree.path)
        return tree

    def constant(self, module: str, name: str, depth: int = 0) -> Any:
        """The value of a module's constant, followed through imports."""
        try:
            tree = self.tree(module) if depth < 20 else None
        except (SyntaxError, OSError, ValueError):
            tree = None
        if tree is None:
            raise NotLiteral(name)
        if name in tree.imports:
            source, _, original = tree.imports[name].rpartition(".")
            return self.constant(source, original, depth + 1)
        expression = tree.constants.get(name)
        if expression is None:
            raise NotLiteral(name)
        return evaluate(expression, lambda other: self.constant(module, other, depth + 1), functools.partial(called, tree))

    def resolve(self, reference: str, depth: int = 0) -> tuple[str, ClassSource] | None:
        """The class that "package.module.name" refers to, followed through re-exports; None where it is not in reach."""
        module, _, name = reference.rpartition(".")
        source = self.module(module) if module and depth < 20 else None
        if source is None:
            return None
        if name in source.classes:
            return reference, source.classes[name]
        return self.resolve(source.imports[name], depth + 1) if name in source.imports else None


def called(tree: Tree, dotted: str) -> str:
    """ "package.module.name" of what `dotted` refers to in `tree`."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        head = ".".join(parts[:end])
        if head in tree.imports:
            return ".".join([tree.imports[head], *parts[end:]])
    if parts[0] in tree.constants:
        return f"{tree.module}.{dotted}"
    if len(parts) == 1 and hasattr(builtins, dotted):
        return f"builtins.{dotted}"
    raise NotLiteral(dotted)


class _ModuleReader:
    """Turns one syntax tree into a ModuleSource."""

    def __init__(self, sources: Sources, tree: Tree) -> None:
        self.sources, self.tree = sources, tree
        self.result = ModuleSource(ast.get_docstring(tree.body), imports=tree.imports)

    def read(self) -> ModuleSource:
        for node in self.tree.body.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                source = ClassSource(node.lineno, ast.get_docstring(node), decorated=self.decorated(node))
                if isinstance(node, ast.ClassDef):
                    self.read_class(node, source)
                elif any(mark.kind == "recipe" for mark in source.decorated):
                    self.read_recipe(node, source)
                self.result.classes[node.name] = source
        return self.result

    def decorated(self, node: ast.ClassDef | ast.FunctionDef) -> tuple[Decorated, ...]:
        found = []
        for decorator in node.decorator_list:
            if not isinstance(decorator, ast.Call):
                continue
            kind = DECORATORS.get(self.reference(decorator.func))
            if kind is None:
                continue
            try:
                arguments = {word.arg: self.value(word.value, {}) for word in decorator.keywords if word.arg is not None}
                (name,) = [self.value(argument, {}) for argument in decorator.args] or [arguments.pop("name")]
                found.append(Decorated(kind, name, arguments))
            except (NotLiteral, KeyError, ValueError) as error:
                self.problem(decorator, f"@{kind} of {node.name}", error)
        return tuple(found)

    def read_class(self, node: ast.ClassDef, source: ClassSource) -> None:
        plain = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
        source.bases = tuple(filter(None, map(self.reference, plain)))
        source.functions = tuple(inner.name for inner in node.body if isinstance(inner, ast.FunctionDef))
        computed: list[str] = []
        for statement in node.body:
            for name, expression in _assigned(statement) if not isinstance(statement, ast.FunctionDef) else ():
                source.settings.pop(name, None)
                source.attributes.pop(name, None)
                try:
                    value = self.value(expression, source.attributes) if expression is not None else None
                    encode(value)
                except NotLiteral as error:
                    if isinstance(expression, ast.Call) and self.reference(expression.func) == "harness.settings.setting":
                        self.problem(statement, f"setting {name} of {node.name}", error)
                    expression = None
                if expression is None:
                    computed.append(name)
                elif isinstance(value, Setting):
                    annotation = ast.unparse(statement.annotation) if isinstance(statement, ast.AnnAssign) else "Any"
                    source.settings[name] = Declared(annotation, value)
                else:
                    source.attributes[name] = value
        source.computed = tuple(name for name in dict.fromkeys(computed) if name not in source.settings and name not in source.attributes)

    def read_recipe(self, node: ast.FunctionDef, source: ClassSource) -> None:
        """A recipe that is a function has its keyword arguments as settings (see harness.recipe_functions)."""
        for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults):
            if argument.arg in RECIPE_GIVEN or default is None or argument.annotation is None:
                continue
            try:
                source.settings[argument.arg] = Declared(ast.unparse(argument.annotation), setting(self.value(default, {})))
            except NotLiteral as error:
                self.problem(argument, f"setting {argument.arg} of {node.name}", error)

    def value(self, node: ast.expr, scope: Mapping[str, Any]) -> Any:
        def named(name: str) -> Any:
            return scope[name] if name in scope else self.sources.constant(self.tree.module, name)

        return evaluate(node, named, functools.partial(called, self.tree))

    def reference(self, node: ast.expr) -> str:
        try:
            return called(self.tree, ast.unparse(node))
        except NotLiteral:
            return ""

    def problem(self, node: ast.AST, what: str, error: Exception) -> None:
        line = getattr(node, "lineno", 1)
        self.result.problems.append((line, f"{what} is not literal ({error}), so it cannot be read without importing the file"))
