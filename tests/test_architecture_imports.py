"""Imports run one way; the contracts that a module must keep stand in pyproject.toml."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_imports_run_one_way() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("file", "line", "named"),
    [
        ("zoo/registry.py", "from zoo import create", ("zoo.registry", "zoo.create")),
        ("zoo/sr/losses/pixel.py", "from zoo.seg import losses", ("zoo.sr", "zoo.seg")),
        ("zoo/store/atomic.py", "from zoo.store import folder", ("atomic", "folder")),
        ("zoo/thing.py", "", ("zoo.thing",)),
    ],
    ids=["upwards", "sideways", "circle", "no room"],
)
def test_an_import_that_runs_upwards_is_named(
    file: str, line: str, named: tuple[str, ...], tmp_path: Path
) -> None:
    ignore = shutil.ignore_patterns("*.safetensors", "__pycache__")
    shutil.copytree(ROOT / "zoo", tmp_path / "zoo", ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / file).open("a") as module:
        module.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert all(name in result.stdout for name in named)
