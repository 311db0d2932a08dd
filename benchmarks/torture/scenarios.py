"""Work that is killed: folders of photographs, exports, downloads, training."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import numpy as np
import torch
import yaml
from PIL import Image

import zoo
from torture.forks import Work
from torture.forks import zoo as command
from zoo.store.download import fetch, sha256_of
from zoo.train.checkpoints import load_checkpoint


class Scenario(NamedTuple):
    """Work that is killed.

    prepare: fills a folder with what the work needs.
    work: what is done there, the first time and again; results go into its folder "out".
    check: raises AssertionError if what a killed run left in "out" is not whole. By default each
        file there that matches `equal` must be one of the finished run's.
    twice: whether a file that stands may be written again.
    equal: pattern of the files that must be those of an unbroken run, byte by byte.
    """

    prepare: Callable[[Path], None]
    work: Callable[[Path], Work]
    check: Callable[[Path], None] | None = None
    twice: bool = False
    equal: str = "**/*"


def _small_model(folder: Path) -> None:
    zoo.save_model(zoo.create_model("srresnet_x2", depth=1, width=4), folder / "model")


def _photographs(folder: Path, count: int = 8, side: int = 60) -> None:
    folder.mkdir()
    for index in range(count):
        pixels = np.random.default_rng(index).integers(0, 256, (side, side + 20, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")


def _folder_run(folder: Path) -> None:
    _small_model(folder)
    _photographs(folder / "in", side=200)


def _enlarge(folder: Path) -> Work:
    return command("upscale", folder / "in", "-o", folder / "out", "--model", folder / "model")


def _enlarge_with_ray(folder: Path) -> Work:
    arguments = ("upscale", folder / "in", "-o", folder / "out", "--model", folder / "model")
    return command(*arguments, "--engine", "ray")


def _large_run(folder: Path) -> None:
    _small_model(folder)
    _photographs(folder / "in", count=2, side=700)


def _enlarge_in_strips(folder: Path) -> Work:
    scratch = str(folder / "out")
    arguments = ("upscale", folder / "in", "-o", scratch, "--model", folder / "model")
    return command(*arguments, "--memory", "850MB")


def _export(folder: Path) -> Work:
    (folder / "out").mkdir(exist_ok=True)
    file = folder / "out" / "model.pt2"
    return command("export", folder / "model", "-o", file, "--overwrite")


def _file_is_whole(folder: Path) -> None:
    if (file := folder / "out" / "model.pt2").exists():
        torch.export.load(file)


_RECIPES: dict[str, dict[str, Any]] = {
    "training": {
        "model": {"name": "srresnet_x2", "options": {"width": 8, "depth": 1}},
        "stages": [{"steps": 60, "batch": 2, "patch": 8, "lr": 1e-3}],
        "held_out": 2,
        "log_every": 1,
        "validate_every": 10,
        "checkpoint_every": 1,
        "precision": "fp32",
    },
    "training with a cache": {
        "model": {
            "name": "dynamic_unet",
            "options": {"encoder": "test_resnet", "decoder_channels": [16, 16, 8, 8, 8]},
        },
        "stages": [{"size": 64, "batch": 2, "steps": 3, "lr": 1e-3}],
        "split": {"validation": 2, "held_out": 2},
        "log_every": 1,
        "validate_every": 1,
        "checkpoint_every": 1,
        "precision": "fp32",
    },
}


def _training(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(_RECIPES["training"]))
    _photographs(folder / "in")


def _segmentation(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(yaml.safe_dump(_RECIPES["training with a cache"]))
    for kind in ("images", "masks"):
        (folder / "in" / kind).mkdir(parents=True)
    for index in range(16):
        pixels = np.random.default_rng(index).integers(0, 256, (300, 400, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "in" / "images" / f"{index}.png")
        mask = Image.fromarray((pixels[..., 0] > 127).astype(np.uint8) * 255)
        mask.save(folder / "in" / "masks" / f"{index}.png")


def _train(folder: Path, *options: object) -> Work:
    resume = ["--resume"] if (folder / "out" / "last.pt").exists() else []
    if not resume:  # a run without a checkpoint begins anew
        shutil.rmtree(folder / "out", ignore_errors=True)
    data, out = folder / "in", folder / "out"
    return command("train", folder / "recipe.yaml", "--data", data, "--out", out, *resume, *options)


def _train_with_cache(folder: Path) -> Work:
    return _train(folder, "--cache", folder / "cache")


def _run_is_whole(folder: Path) -> None:
    out = folder / "out"
    if (out / "last.pt").exists():
        load_checkpoint(out / "last.pt")
    if (out / "best" / "config.json").exists():
        zoo.load_model(out / "best")


def _download(folder: Path) -> Work:
    source = folder / "model" / "model.safetensors"

    def work() -> None:
        with _slow_server(source.read_bytes()) as url:
            fetch([url], folder / "out" / source.name, sha256=sha256_of(source), label="a test")

    return work


@contextlib.contextmanager
def _slow_server(content: bytes) -> Iterator[str]:
    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            for at in range(0, len(content), 1000):
                self.wfile.write(content[at : at + 1000])
                time.sleep(0.02)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/model.safetensors"
    server.shutdown()


SCENARIOS = {
    "folder run": Scenario(_folder_run, _enlarge),
    "folder run in strips": Scenario(_large_run, _enlarge_in_strips),
    "export": Scenario(_small_model, _export, _file_is_whole, twice=True, equal="nothing"),
    "download": Scenario(_small_model, _download),
    "training": Scenario(_training, _train, _run_is_whole, twice=True, equal="history.json"),
    "training with a cache": Scenario(
        _segmentation, _train_with_cache, _run_is_whole, twice=True, equal="history.json"
    ),
}
# By itself, for each of its runs starts a cluster. The report tells how long each picture took.
RAY = Scenario(_folder_run, _enlarge_with_ray, equal="*.png")
