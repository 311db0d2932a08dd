"""SIGKILL at random moments: what stands is whole, the next run finishes, nothing is done twice."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torture.forks import be_single, finish, start
from torture.scenarios import Scenario

_ATTEMPTS = 3  # kills in a round, before the run may finish
SECONDS = 180  # that a run may take


@dataclass
class Tally:
    """What became of killed runs; defects are "round N: what was found"."""

    rounds: int = 0
    kills: int = 0
    defects: list[str] = field(default_factory=list)


def torture(name: str, scenario: Scenario, rounds: int, *, seed: int = 0) -> dict[str, Any]:
    """Kill a scenario's work in so many rounds, up to three times in each."""
    be_single()
    chance, tally = random.Random(f"{name} {seed}"), Tally()
    with TemporaryDirectory() as place:
        source = Path(place, "source")
        source.mkdir()
        scenario.prepare(source)
        whole = Path(place, "whole")
        shutil.copytree(source, whole)
        begun = time.monotonic()
        status = finish(start(scenario.work(whole), Path(place, "said")), seconds=SECONDS)
        seconds = time.monotonic() - begun
        if status:
            raise RuntimeError(f"{name} fails unkilled: {Path(place, 'said').read_text()}")
        expected = contents(whole / "out", scenario.equal)
        for number in range(rounds):
            folder = Path(place, "broken")
            shutil.copytree(source, folder)
            try:
                tally.kills += _round(scenario, folder, expected, seconds, chance)
            except AssertionError as error:
                said = folder.with_name("said").read_text()[-300:]
                tally.defects.append(f"round {number}: {error}; {said}")
            tally.rounds += 1
            shutil.rmtree(folder)
    return {"case": name, **asdict(tally)}


def _round(
    scenario: Scenario,
    folder: Path,
    expected: dict[str, bytes],
    seconds: float,
    chance: random.Random,
) -> int:
    """Kill, look, go on; return the number of kills."""
    said, kills = folder.with_name("said"), 0
    for _ in range(chance.randint(1, _ATTEMPTS)):
        before = _inodes(folder / "out", scenario.equal)
        process = start(scenario.work(folder), said)
        time.sleep(chance.uniform(0, seconds))
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        status = finish(process)
        assert status in (0, -signal.SIGKILL), f"it ended with {status}"
        kills += status != 0
        if scenario.check:
            scenario.check(folder)
        else:
            for file, content in contents(folder / "out", scenario.equal).items():
                assert expected.get(file) == content, f"{file} is not whole"
        _check_kept(scenario, folder, before)
    before = _inodes(folder / "out", scenario.equal)
    status = finish(start(scenario.work(folder), said), seconds=SECONDS)
    assert status == 0, f"the next run ended with {status}"
    _check_kept(scenario, folder, before)
    assert contents(folder / "out", scenario.equal) == expected, "other results than unbroken"
    left = [file.name for file in folder.rglob(".*")]
    assert not left, f"{left} stay"
    return kills


def _check_kept(scenario: Scenario, folder: Path, before: dict[str, int]) -> None:
    if not scenario.twice:
        after = _inodes(folder / "out", scenario.equal)
        assert before.items() <= after.items(), "finished work was done twice"


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    """The visible files below a folder that match, by their paths."""
    files = _visible(folder, pattern)
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def _inodes(folder: Path, pattern: str) -> dict[str, int]:
    return {str(file): file.stat().st_ino for file in _visible(folder, pattern)}


def _visible(folder: Path, pattern: str) -> Iterator[Path]:
    for file in folder.glob(pattern):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(part.startswith(".") for part in parts):
            yield file
