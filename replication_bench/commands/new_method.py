"""``replbench new-method``: a small package with a method, to start from."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from replication_bench import plugins
from replication_bench.errors import ConfigError, PluginError, StoreError
from replication_bench.resolve import ALIASES

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
SUFFIX = ".j2"


def check_name(name: str) -> None:
    """Raise where a method cannot be called ``name``.

    Raises:
        ConfigError: it could not stand in ``a+b``, in ``--set methods.NAME.x`` and in a package's name.
        PluginError: a method has that name.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(
            "no name for a method",
            got=repr(name),
            want="small letters and digits, words joined by '-', such as 'hush' or 'soft-hush'",
        )
    known = plugins.available("methods")
    target = ALIASES.get(name, name)
    if target in known:
        found = known[target]
        raise PluginError(
            f"the method name '{name}' is taken",
            got=f"{found.distribution} {found.version}",
            hint="Choose another one.",
        )


def words(name: str) -> dict[str, str]:
    """What the templates are filled with. The prefix and the suffix keep clear of other packages and classes."""
    return {
        "name": name,
        "package": f"replbench-{name}",
        "module": f"replbench_{name.replace('-', '_')}",
        "class_name": "".join(word.capitalize() for word in name.split("-")) + "Method",
    }


def rendered(name: str) -> Iterator[tuple[str, str]]:
    """Path and text of every file of the package."""
    fill = words(name)
    templates = Environment(
        loader=PackageLoader("replication_bench", "templates/new_method"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    for path in templates.list_templates(extensions=[SUFFIX.removeprefix(".")]):
        yield (
            path.removesuffix(SUFFIX).replace("MODULE", fill["module"]),
            templates.get_template(path).render(fill),
        )


def write(name: str, folder: Path) -> None:
    """Write the package into ``folder``, whole or not at all.

    Raises:
        StoreError: the folder is there, or cannot be written.
    """
    if os.path.lexists(folder):
        raise StoreError("the folder is there already", where=folder, hint="Choose another one with --to.")
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.absolute().parent, prefix=".new-method-") as temporary:
            whole = Path(temporary) / "package"
            for path, text in rendered(name):
                (whole / path).parent.mkdir(parents=True, exist_ok=True)
                (whole / path).write_text(text, encoding="utf-8")
            whole.rename(folder)
    except OSError as error:
        raise StoreError(
            "cannot write", where=folder, got=error.strerror, hint="Choose another folder with --to."
        ) from error


def run(name: str, to: Path | None) -> None:
    """Write the package and say what comes next."""
    check_name(name)
    folder = to if to is not None else Path(name)
    write(name, folder)
    sys.stdout.write(
        f"{folder}: a package with the method '{name}'\n"
        f"pip install -e '{folder}[dev]' && replbench check {name} && replbench run --method {name} --budget tiny\n"
    )
