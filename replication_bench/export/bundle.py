"""The source of a model class as one file that needs no package of its own, for a folder that carries its code.

Out of a folder on disk diffusers would also take modules that the file imports relatively; from a hub it fetches the
one file that ``model_index.json`` names. So the class's module and those of its package that it imports are written
one after the other, without the imports between them.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from replication_bench.errors import PluginError

# what a pipeline needs anyway
AVAILABLE = {*sys.stdlib_module_names, "torch", "diffusers", "transformers", "numpy", "safetensors", "PIL"}


@dataclass
class Bundle:
    """Modules of one package, those that others need first.

    Attributes:
        package: the top-level package whose modules are written out.
        imports: what is imported from other packages: names by ``from MODULE``, none for ``import MODULE``.
        bodies: by module, its text without docstring and top-level imports.
        owners: which module, or which import, gives a top-level name its meaning.
    """

    package: str
    imports: dict[str, set[str]] = field(default_factory=dict)
    bodies: dict[str, str] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)

    def add(self, module: str) -> None:
        """Take in ``module`` after all that it needs.

        Raises:
            PluginError: what cannot stand in one file.
        """
        if module in self.bodies:
            return
        self.bodies[module] = ""  # a cycle ends here
        text = source_of(module)
        tree = ast.parse(text)
        nested(module, tree, self.package)
        dropped = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        for node in dropped:
            self.take(module, node)
        for name in defined(tree):
            self.claim(module, name, module)
        dropped += tree.body[: ast.get_docstring(tree) is not None]  # type: ignore[arg-type]
        del self.bodies[module]
        self.bodies[module] = without(text, dropped)

    def take(self, module: str, node: ast.Import | ast.ImportFrom) -> None:
        """One import: a module of the package is taken in, any other is kept."""
        own = [name for name in targets(module, node) if name.partition(".")[0] == self.package]
        if not own:
            refuse_unavailable(module, node)
            self.keep(module, node)
        elif isinstance(node, ast.Import) or any(alias.asname or alias.name == "*" for alias in node.names):
            raise refused(module, ast.unparse(node), "from MODULE import NAME, under its own name")
        else:
            for name in own:
                self.add(name)

    def keep(self, module: str, node: ast.Import | ast.ImportFrom) -> None:
        """An import of another package, merged with those that are kept already."""
        for alias in node.names:
            source = alias.name if isinstance(node, ast.Import) else f"{node.module}.{alias.name}"
            self.claim(module, alias.asname or alias.name.partition(".")[0], source)
            line = ast.unparse(alias)
            if isinstance(node, ast.Import):
                self.imports.setdefault(f"import {line}", set())
            else:
                self.imports.setdefault(f"from {node.module}", set()).add(line)

    def claim(self, module: str, name: str, owner: str) -> None:
        """Note what gives a top-level name its meaning; in one file it can have only one."""
        if self.owners.setdefault(name, owner) != owner:
            raise refused(module, f"{name} of {owner}", f"a name that is not {self.owners[name]}'s too")

    def text(self, about: str) -> str:
        """The whole file, with ``about`` as its docstring."""
        kept = sorted(self.imports.items(), key=lambda item: ("__future__" not in item[0], item[0]))
        imports = [f"{start} import {', '.join(sorted(names))}" if names else start for start, names in kept]
        bodies = [f"# {name}\n\n{body}" for name, body in self.bodies.items()]
        return f'"""{about}"""\n\n' + "\n\n\n".join(["\n".join(imports), *bodies])


def bundle(model: type, about: str) -> str:
    """The source of the class ``model`` and all that it needs of its package.

    Raises:
        PluginError: its modules import what a pipeline need not have, or cannot stand in one file.
    """
    found = Bundle(model.__module__.partition(".")[0])
    found.add(model.__module__)
    return found.text(about)


def source_of(module: str) -> str:
    """The text of a module's file."""
    spec = find_spec(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise refused(module, "no source file", "a module in Python")
    return Path(spec.origin).read_text(encoding="utf-8")


def targets(module: str, node: ast.Import | ast.ImportFrom) -> list[str]:
    """The modules that an import names, in full."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not node.level:
        return [node.module or ""]
    base = module.split(".")[: -node.level]
    return [".".join([*base, node.module] if node.module else base)]


def nested(module: str, tree: ast.Module, package: str) -> None:
    """Refuse imports of the package inside functions: they would fail where it is not installed."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in tree.body:
            if any(name.partition(".")[0] == package for name in targets(module, node)):
                raise refused(module, ast.unparse(node), "imports at the top of the module")
            refuse_unavailable(module, node)


def refuse_unavailable(module: str, node: ast.Import | ast.ImportFrom) -> None:
    """Refuse an import of what a machine with diffusers need not have."""
    for name in targets(module, node):
        if name.partition(".")[0] not in AVAILABLE:
            raise refused(
                module, ast.unparse(node), "the standard library, torch, diffusers, transformers or numpy"
            )


def defined(tree: ast.Module) -> Iterator[str]:
    """The names that a module gives to its own functions, classes and values."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def without(text: str, nodes: list[Any]) -> str:
    """``text`` without the lines of ``nodes``."""
    gone = {line for node in nodes for line in range(node.lineno, node.end_lineno + 1)}
    kept = [line for number, line in enumerate(text.splitlines(), 1) if number not in gone]
    return "\n".join(kept).strip() + "\n"


def refused(module: str, got: str, want: str) -> PluginError:
    """The error for a module that cannot travel."""
    return PluginError("the model's code cannot be exported", where=module, got=got, want=want)
