"""Whole commands on damaged files, in folders with traps: one sentence, nothing outside harmed."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import zoo
from torture.forks import Work, be_single, finish, start
from torture.forks import zoo as command
from torture.mutate import mutated
from torture.readers import READERS

SECONDS = 60  # that a command may take
_NAMES = (
    "a.png",
    "b.jpg",
    "c.tif",
    "ü ñ.webp",
    "-d.png",
    "e e.gif",
    "A.PNG",
    "g..jpg",
    "h",
    "%s.png",
)


def torture(runs: int, *, first: int = 0) -> dict[str, Any]:
    """Run commands number `first` to `first + runs - 1`, each in a fresh folder.

    A command may succeed, refuse, or fail for some of its pictures. It must not end otherwise,
    print a traceback, take longer than `SECONDS`, or change anything but its folder of results.
    """
    be_single()
    defects, statuses = [], {0: 0, 1: 0, 2: 0}
    with TemporaryDirectory() as place:
        root = Path(place)
        small = zoo.create_model("srresnet_x2", depth=1, width=4)
        zoo.save_model(small, root / "model")
        finder = zoo.create_model(
            "dynamic_unet", encoder="test_resnet", decoder_channels=(16, 16, 8, 8, 8)
        )
        finder.image_size = 32
        zoo.save_model(finder, root / "finder")
        finish(start(lambda: _store_pictures(root), root / "said"))  # libvips starts threads
        whole = [file.read_bytes() for file in sorted((root / "whole").iterdir())]
        for number in range(first, first + runs):
            chance = random.Random(f"command {number}")
            status, fault = _one(root, whole, chance)
            if fault:
                defects.append(f"{number}: {fault}")
            statuses[status] = statuses.get(status, 0) + 1
    return {
        "case": "whole commands",
        "tried": runs,
        "succeeded": statuses.pop(0),
        "refused_or_failed": statuses.pop(1) + statuses.pop(2),
        "defects": defects,
    }


def _store_pictures(root: Path) -> None:
    for folder in ("pictures", "whole"):
        (root / folder).mkdir()
    for index, data in enumerate(READERS["picture"].prepare(root / "pictures")):
        (root / "whole" / f"{index:03}").write_bytes(data)


def _one(root: Path, whole: list[bytes], chance: random.Random) -> tuple[int, str]:
    """Run one command; return its status and what is wrong with it, "" for nothing."""
    with TemporaryDirectory(dir=root) as place:
        folder = Path(place)
        source = folder / "in"
        source.mkdir()
        for name in chance.sample(_NAMES, chance.randint(1, 4)):
            data = mutated(whole, chance) if chance.random() < 0.7 else chance.choice(whole)
            (source / name).write_bytes(data)
        _set_traps(source, folder, chance)
        before = _state(source)
        begun = time.monotonic()
        status = finish(start(_work(root, folder, chance), folder / "said"), seconds=SECONDS)
        said = (folder / "said").read_text(errors="replace")
        if status not in (0, 1, 2) or "Traceback" in said:
            return status, f"status {status}, {said[-300:]}"
        if status and "error" not in said and "failed" not in said:
            return status, f"status {status} without a reason: {said[-300:]}"
        if not before.items() <= _state(source).items():
            return status, "its sources have changed"
        names = {entry.name for entry in folder.iterdir()}
        if not names <= {"in", "said", "out", "outside.png"}:
            return status, f"it wrote {sorted(names)}"
        if (hidden := list(folder.rglob("out/**/.*"))) or time.monotonic() - begun > SECONDS:
            return status, f"{[file.name for file in hidden]} stay, or it took too long"
        return status, ""


def _work(root: Path, folder: Path, chance: random.Random) -> Work:
    task, model, *own = chance.choice(
        (
            ("upscale", "model", ["--tile", "48"], ["--format", "png"], ["--tta"]),
            ("segment", "finder", ["--threshold", "0.3"], ["--as", "cutout"], ["--as", "overlay"]),
        )
    )
    options = ["--max-pixels", "1000000"]
    for option in (["--overwrite"], ["--skip-existing"], *own):
        if chance.random() < 0.2:
            options += option
    named = [file for file in sorted((folder / "in").iterdir()) if not file.is_fifo()]  # is awaited
    inputs = chance.choice(([folder / "in"], named))
    out = folder / chance.choice(("out", "out/deeper", "out" if "--overwrite" in options else "in"))
    return command(task, *options, "--model", root / model, "-o", out, "--", *inputs)


def _set_traps(source: Path, folder: Path, chance: random.Random) -> None:
    """Links that lead out, around and to nothing; folders and pipes with a picture's name."""
    if chance.random() < 0.3:
        (folder / "outside.png").write_bytes(b"not to be touched")
        (source / "link.png").symlink_to(folder / "outside.png")
    if chance.random() < 0.2:
        (source / "loop.png").symlink_to(source / "loop.png")
        (source / "around").symlink_to(source)
    if chance.random() < 0.2:
        (source / "nothing.jpg").symlink_to(folder / "nowhere.jpg")
        (source / "folder.png").mkdir()
    if chance.random() < 0.1:
        os.mkfifo(source / "pipe.png")


def _state(source: Path) -> dict[str, tuple[int, int]]:
    """The files below a folder, with their sizes and times."""
    found = {}
    for file in source.rglob("*"):
        state = file.lstat()
        found[str(file)] = (state.st_size, state.st_mtime_ns)
    return found
