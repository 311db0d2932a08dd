"""The tortures of benchmarks/torture, each for a moment; `make torture` runs them for hours."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
READERS = [
    "picture", "large picture", "weights", "config", "onnx", "pickle", "run lengths", "recipe",
]  # fmt: skip
WORKS = [
    "folder run", "folder run in strips", "export", "download", "training", "training with a cache",
]  # fmt: skip


def torture(folder: Path, *arguments: object) -> list[dict[str, Any]]:
    """Run a part in a process of its own, which forks; return its rows."""
    command = [sys.executable, ROOT / "benchmarks" / "torture", *map(str, arguments)]
    done = subprocess.run(
        [*map(str, command), "--out", str(folder)], capture_output=True, text=True, check=False
    )
    results = list(folder.glob("torture_*.json"))
    assert len(results) == 1, done.stdout + done.stderr
    rows: list[dict[str, Any]] = json.loads(results[0].read_text())["rows"]
    assert [row["defects"] for row in rows] == [[] for _ in rows]
    assert done.returncode == 0
    return rows


def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    rows = torture(tmp_path, "fuzz", "--files", 60, "--first", 10**6)
    assert [row["case"] for row in rows] == READERS
    for row in rows:
        assert row["tried"] == row["read"] + row["refused"] == 60
        assert row["refused"] > 0


def test_commands_on_damaged_files_end_in_order(tmp_path: Path) -> None:
    (row,) = torture(tmp_path, "commands", "--runs", 40, "--first", 10**6)
    assert row["succeeded"] + row["refused_or_failed"] == 40
    assert row["succeeded"] > 0
    assert row["refused_or_failed"] > 0


@pytest.mark.slow
def test_visitors_get_their_own_pictures_and_leave_nothing(tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="needs the extra web")
    (row,) = torture(tmp_path, "load", "--seconds", 15)
    assert row["served"] > 8
    assert row["left"] > 0


@pytest.mark.slow
def test_killed_work_goes_on(tmp_path: Path) -> None:
    rows = torture(tmp_path, "kills", "--rounds", 2, "--first", 10**6)
    assert [row["case"] for row in rows] == WORKS
    assert sum(row["kills"] for row in rows) > len(WORKS)


@pytest.mark.slow
def test_a_killed_job_on_ray_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    (row,) = torture(tmp_path, "ray", "--rounds", 1, "--first", 10**6)
    assert row["kills"] > 0


@pytest.mark.slow
def test_damage_that_coverage_guides_is_read_or_refused(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="there is none for this system")
    rows = torture(tmp_path, "guided", "--files", 300, "--first", 10**6)
    assert [row["case"] for row in rows] == READERS
    for row in rows:
        assert row["tried"] == 300
        assert row["branches"] >= row["branches_of_whole_files"] > 0


@pytest.mark.slow
def test_an_error_in_run_lengths_is_noticed_or_explained() -> None:
    """The copy that mutmut changes is of the last commit."""
    from torture.mutants import mutants

    row = mutants("zoo/seg/data/run_lengths.py")
    assert row["defects"] == []
    assert row["killed"] > 0.9 * row["mutants"] > 90
