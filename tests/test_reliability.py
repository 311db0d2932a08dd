"""The page of promises names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_each_promise_is_held_by_a_test() -> None:
    rows = (ROOT / "docs" / "reliability.md").read_text().partition("## Figures")[0].splitlines()
    promises = [row for row in rows if row.startswith("| ") and "**" not in row][1:]
    assert len(promises) > 20
    for promise in promises:
        tests = re.findall(r"`(tests/\w+\.py)::(\w+)`", promise)
        assert tests, promise
        for file, name in tests:
            tree = ast.parse((ROOT / file).read_text())
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
