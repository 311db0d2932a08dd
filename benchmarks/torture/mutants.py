"""Errors put into the code by mutmut, where a silent one would hurt most: some test must fail.

What survives has a reason in survivors.yaml, by the line as it became, or is a defect.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from zoo.errors import MissingDependencyError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SUBJECTS = {
    "zoo/inference/tiling.py": ("test_tiling",),
    "zoo/seg/data/run_lengths.py": ("test_seg_data", "test_seg_tables"),
    "zoo/seg/data/splits.py": ("test_seg_split", "test_seg_data"),
    "zoo/seg/measure/metrics.py": ("test_seg_metrics", "test_seg_masks"),
    "zoo/sr/data/imresize.py": ("test_protocol", "test_sr_data"),
    "zoo/sr/measure/metrics.py": ("test_protocol",),
    "zoo/store/atomic.py": ("test_atomic", "test_image_refusals"),
    "zoo/store/state_dict.py": ("test_convert", "test_weights", "test_transfer"),
}
_NOTICED = ("killed", "timeout", "segfault", "suspicious")


def mutants(file: str) -> dict[str, Any]:
    """Try all mutants of a file; return its row.

    Raises MissingDependencyError without mutmut.
    """
    if not find_spec("mutmut"):
        raise MissingDependencyError("Mutants need mutmut: pip install '.[dev]'.")
    reasons = yaml.safe_load((HERE / "survivors.yaml").read_text()).get(file, {})
    with TemporaryDirectory() as place:
        folder = Path(place, "copy")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        (folder / "mutants").mkdir()  # what is not there when Python starts is never searched
        tests = "\n    ".join(f"tests/{name}.py" for name in SUBJECTS[file])
        settings = (HERE / "mutmut.cfg").read_text()
        (folder / "setup.cfg").write_text(settings.replace("FILE", file).replace("TESTS", tests))
        said = _mutmut(folder, "run", "--max-children", "2")
        listed = _mutmut(folder, "results", "--all", "true")
        states = re.findall(r"^\s*(\S+): (.+)$", listed, re.MULTILINE)
        if not states or any(state == "not checked" for _, state in states):
            raise RuntimeError(f"mutmut did not come to the end of {file}: {said[-1000:]}")
        return _row(folder, file, states, reasons)


def _row(
    folder: Path, file: str, states: list[tuple[str, str]], reasons: dict[str, str]
) -> dict[str, Any]:
    survivors, defects = [], []
    for name, state in states:
        if state in _NOTICED:
            continue
        was, became = _change(_mutmut(folder, "show", name))
        survivors.append({"was": was, "became": became, "reason": reasons.get(became)})
        if became not in reasons:
            defects.append(f"{name} ({state}): {was} → {became}")
    return {
        "case": file,
        "mutants": len(states),
        "killed": len(states) - len(survivors),
        "survivors": survivors,
        "defects": defects,
    }


def _change(diff: str) -> tuple[str, str]:
    """The line that was changed, before and after."""
    was = re.findall(r"^-(?!--)\s*(.*)", diff, re.MULTILINE)
    became = re.findall(r"^\+(?!\+\+)\s*(.*)", diff, re.MULTILINE)
    return " ".join(was), " ".join(became)


def _mutmut(folder: Path, *arguments: str) -> str:
    """Run mutmut in a folder; return what it prints."""
    surroundings = os.environ | {"PYTHONPATH": str(folder / "mutants"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=folder, env=surroundings, capture_output=True, text=True)
    if done.returncode and arguments[0] != "run":
        raise RuntimeError(f"mutmut {' '.join(arguments)}: {(done.stdout + done.stderr)[-1000:]}")
    return done.stdout
