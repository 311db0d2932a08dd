"""The public interface as text, one line for each name; `python tests/api_snapshot.py` renews it.

A line that vanishes or changes breaks somebody's program: say so in CHANGELOG.md.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

FILE = Path(__file__).with_name("public_api.txt")
ROOT = Path(__file__).parents[1]


def lines() -> Iterator[str]:
    """Names of `zoo` with signatures, entry points of hubconf.py, commands with options."""
    import zoo
    import zoo.ray
    from zoo.registry import get_model

    for name in sorted(zoo.__all__):
        yield from _described(f"zoo.{name}", getattr(zoo, name))
    for name in ("segment", "upscale"):
        yield from _described(f"zoo.ray.{name}", getattr(zoo.ray, name))
    for name in sorted(vars(zoo.errors)):
        value = getattr(zoo.errors, name)
        if inspect.isclass(value) and issubclass(value, zoo.ZooError):
            yield f"zoo.errors.{name}({', '.join(base.__name__ for base in value.__bases__)})"
    for name in zoo.list_models():
        options = ", ".join(f"{key}={value!r}" for key, value in get_model(name).options.items())
        yield f"model {name}({options})"
        yield from (f"weights {weights}" for weights in zoo.list_weights(name))
    yield from _hub()
    yield from _commands()


def _described(path: str, value: Any) -> Iterator[str]:
    if not inspect.isclass(value) or issubclass(value, Exception):
        yield f"{path}{'' if inspect.isclass(value) else inspect.signature(value)}"
        return
    own = [base for base in value.__mro__ if base.__module__.startswith("zoo.")]
    own_start = any("__init__" in vars(base) for base in own)
    yield f"{path}{inspect.signature(value) if own_start else ''}"
    for name in sorted({name for base in own for name in vars(base) if not name.startswith("_")}):
        attribute = inspect.getattr_static(value, name)
        attribute = getattr(attribute, "__func__", attribute)  # of a class method
        signature = inspect.signature(attribute) if inspect.isfunction(attribute) else ""
        yield f"{path}.{name}{signature}"


def _hub() -> Iterator[str]:
    sys.path.insert(0, str(ROOT))
    try:
        import hubconf
    finally:
        sys.path.remove(str(ROOT))
    for name, value in sorted(vars(hubconf).items()):
        if inspect.isfunction(value) and not name.startswith("_"):
            yield f"hubconf.{name}{inspect.signature(value)}"


def _commands() -> Iterator[str]:
    from zoo.cli import app

    for name, command in sorted(typer.main.get_group(app).commands.items()):
        given = [
            "/".join(parameter.opts) if parameter.param_type_name == "option" else parameter.name
            for parameter in command.params
            if "--help" not in parameter.opts
        ]
        yield f"$ zoo {name} {' '.join(sorted(map(str, given)))}"


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for line in lines()))
