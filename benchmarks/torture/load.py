"""`zoo web` under load: visitors who wait for their pictures, and one who leaves in the middle."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image

CLIENTS = 8
MODEL, SCALE = "srresnet_x2.fast", 2
FAR = 6.0  # mean difference of grey levels, from which a result is another picture's
MOST = 2_000_000_000  # bytes that the server may take
GROWTH = 150_000_000  # bytes that it may grow by after half a minute
_PATIENCE = 20.0  # seconds until what visitors brought must be gone


@dataclass
class Tally:
    """What became of the visits; defects are sentences."""

    served: int = 0
    refused: int = 0  # in order: the queue is full, say
    left: int = 0  # by the visitor
    slowest: float = 0.0  # seconds until the result was there
    defects: list[str] = field(default_factory=list)


def torture(seconds: float) -> dict[str, Any]:
    """Let the visitors come for so long; return what became of them, and the server's memory."""
    tally, lock, until = Tally(), threading.Lock(), time.monotonic() + seconds
    with TemporaryDirectory() as place, _server(Path(place), tally) as (address, process):
        root = next(Path(place).glob("zoo-web-*"))
        before = set(root.rglob("*"))
        page = _Page(address)
        visitors = [
            threading.Thread(target=_come, args=(page, number, until, tally, lock))
            for number in range(CLIENTS + 1)  # the last one never waits for the result
        ]
        for visitor in visitors:
            visitor.start()
        memory = []
        while any(visitor.is_alive() for visitor in visitors):
            memory.append(process.memory_info().rss)
            time.sleep(0.5)
        warm, end, peak = _typical(memory[60:120]), _typical(memory[-60:]), max(memory)
        if peak > MOST or (warm and end - warm > GROWTH):  # a short run is never warm
            tally.defects.append(f"the memory grew from {warm} to {end} bytes, {peak} at most")
        left = _left_behind(root, before)
        if left:
            tally.defects.append(f"{len(left)} files stay, such as {sorted(left)[:3]}")
    sizes = {"warm": warm, "end": end, "peak": peak}
    return {"case": "zoo web", "seconds": seconds, **sizes, **asdict(tally)}


def _typical(sizes: list[int]) -> int:
    return int(np.median(sizes)) if sizes else 0


@contextmanager
def _server(place: Path, tally: Tally) -> Iterator[tuple[str, psutil.Process]]:
    """The command in a process of its own, with a folder for temporary files of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    said = place / "said"
    with said.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "zoo", "web", "--port", str(port)],
            stdout=log, stderr=subprocess.STDOUT, env={**os.environ, "TMPDIR": str(place)},
        )  # fmt: skip
        try:
            while "Open http" not in said.read_text():
                if process.poll() is not None:
                    raise RuntimeError(f"zoo web fails: {said.read_text()}")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait()
    if status != 128 + signal.SIGTERM:
        tally.defects.append(f"it ended with {status}")
    if "Traceback" in said.read_text():
        tally.defects.append("it logged: " + said.read_text().strip().splitlines()[-1])
    if stays := [file.name for file in place.glob("zoo-web-*")]:
        tally.defects.append(f"{', '.join(stays)} stays after the end")


class _Page:
    """What a browser knows of the page: the numbers of two functions, by what they take."""

    def __init__(self, address: str) -> None:
        self.address = f"{address}/gradio_api"
        config = httpx.get(f"{address}/config", trust_env=False).json()
        parts = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        models = [p["id"] for p in config["components"] if p["props"].get("label") == "Model"]
        photograph = parts["enlarge-photograph"]
        numbers = {tuple(each["inputs"]): each["id"] for each in config["dependencies"]}
        self.note, self.run = numbers[(photograph,)], numbers[(photograph, *models)]


def _come(page: _Page, number: int, end: float, tally: Tally, lock: threading.Lock) -> None:
    """Visit again and again; the last visitor closes the page as soon as the work has begun."""
    leaves, chance, visit = number == CLIENTS, np.random.default_rng(number), 0
    while time.monotonic() < end:
        visit += 1
        try:
            outcome, seconds = _visit(page, f"visitor{number}x{visit}", chance, leaves=leaves)
        except (httpx.HTTPError, KeyError, ValueError, TypeError) as error:
            outcome, seconds = f"visit {number}/{visit}: {error!r}", 0.0
        with lock:
            tally.slowest = max(tally.slowest, seconds)
            if outcome in ("served", "refused", "left"):
                setattr(tally, outcome, getattr(tally, outcome) + 1)
            else:
                tally.defects.append(outcome)


def _visit(
    page: _Page, session: str, chance: np.random.Generator, *, leaves: bool
) -> tuple[str, float]:
    """Bring a photograph, ask for it enlarged, look at what comes; return that and the seconds."""
    pixels = _photograph(chance)
    begun = time.monotonic()
    with (
        httpx.Client(trust_env=False, timeout=120) as client,
        client.stream("GET", f"{page.address}/heartbeat/{session}"),  # the page stays open
    ):
        files = {"files": ("a.png", _png(pixels), "image/png")}
        (path,) = client.post(f"{page.address}/upload", files=files).json()
        photograph = {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
        for function, data in ((page.note, [photograph]), (page.run, [photograph, MODEL])):
            asked = {"data": data, "fn_index": function, "session_hash": session}
            answer = client.post(f"{page.address}/queue/join", json=asked)
            if answer.status_code == 503:
                return "refused", 0.0
            answer.raise_for_status()
            output = _output(client, page, session, leaves=leaves and function == page.run)
            if output is None:
                return "left", 0.0
        download = output["data"][1].get("value")
        if not download:
            return f"{session} was told: {output['data'][0]}", 0.0
        result = client.get(f"{page.address}/file={download['path']}").content
        seconds = time.monotonic() - begun
    large = Image.open(io.BytesIO(result)).convert("RGB")
    again = np.asarray(large.resize(pixels.shape[1::-1], Image.Resampling.BOX), float)
    far = float(np.abs(again - pixels).mean()) if large.width == SCALE * pixels.shape[1] else 255.0
    return "served" if far < FAR else f"{session} got another picture ({far:.0f} away)", seconds


def _output(client: httpx.Client, page: _Page, session: str, *, leaves: bool) -> Any:
    """What a function gives, once it is there; None for a visitor who leaves before."""
    with client.stream("GET", f"{page.address}/queue/data?session_hash={session}") as events:
        for line in events.iter_lines():
            if not line.startswith("data:"):
                continue
            event = json.loads(line.removeprefix("data:"))
            if event["msg"] == "process_starts" and leaves:
                return None
            if event["msg"] == "process_completed":
                if not event["success"]:
                    raise ValueError(f"it failed: {event['output']}")
                return event["output"]
    raise ValueError("the stream of events ended")


def _left_behind(root: Path, before: set[Path]) -> set[Path]:
    """The files that stay though all visitors have left."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        left = {file for file in root.rglob("*") if file.is_file()} - before
        if not left:
            return left
        time.sleep(0.2)
    return left


def _photograph(chance: np.random.Generator) -> NDArray[np.uint8]:
    """Soft blots of a random size, like no other visitor's."""
    blots = chance.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    size = tuple(int(side) for side in chance.integers(80, 400, 2))
    return np.asarray(Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC))


def _png(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
