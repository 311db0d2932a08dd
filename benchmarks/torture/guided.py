"""Damage that is guided by coverage (Atheris): what reaches new lines of zoo is damaged further.

Each reader is tried in a process of its own, which this file is the program of. Of what fails, the
row of results has the first bytes and the reason.
"""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

if __name__ != "__main__":  # the program must see zoo's modules being imported
    from zoo.errors import MissingDependencyError

_LIMITS = ["-timeout=10", "-rss_limit_mb=4000", "-max_len=100000"]
_STATE = re.compile(r"#\d+\s+(?:INITED|DONE)\s+cov: (\d+)")


def guided(name: str, count: int, *, seed: int = 0) -> dict[str, Any]:
    """Try so many files of a reader; return the row of results.

    Raises MissingDependencyError without Atheris.
    """
    if not find_spec("atheris"):
        raise MissingDependencyError("Guided fuzzing needs Atheris: pip install '.[dev]'.")
    with TemporaryDirectory() as place:
        corpus, found = Path(place, "corpus"), Path(place, "found")
        corpus.mkdir()
        found.mkdir()
        options = [f"-runs={count}", f"-seed={seed + 1}", f"-artifact_prefix={found}/", *_LIMITS]
        command = [sys.executable, __file__, name, place, *options, str(corpus)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        tried = re.search(r"Done (\d+) runs", done.stderr)
        reached = _STATE.findall(done.stderr)
        defects = [f"{file.read_bytes()!r:.500}: {_reason(done)}" for file in found.iterdir()]
        if not defects and not tried:
            defects = [f"status {done.returncode}: {_reason(done)}"]
    return {
        "case": name,
        "tried": int(tried[1]) if tried else 0,
        "branches_of_whole_files": int(reached[0]) if reached else 0,
        "branches": int(reached[-1]) if reached else 0,
        "defects": defects,
    }


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """The exception, or the last that was said."""
    lines = (done.stdout + done.stderr).strip().splitlines()
    errors = [line for line in lines if re.match(r"\s*[\w.]+(Error|Exception|Interrupt)\b", line)]
    return " ".join(errors[-1:] or lines[-3:])[:300]


def _fuzz(name: str, folder: Path, arguments: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["zoo"]):
        from torture.readers import READERS
        from zoo.errors import ZooError

    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    reader = READERS[name]
    place = folder / "place"
    place.mkdir()
    for index, data in enumerate(reader.prepare(place)):
        (folder / "corpus" / str(index)).write_bytes(data)
    file = place / reader.name

    def read(data: bytes) -> None:
        file.write_bytes(data)
        try:
            reader.read(file)
        except ZooError:
            return

    atheris.Setup([sys.argv[0], *arguments], read)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    _fuzz(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
