"""What several test files share: data folders, every registered model, a web server."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_hub import Hub, running_hub
from PIL import Image
from toys import Toy

import zoo
from zoo import registry
from zoo.registry import register_model
from zoo.store.state_dict import save_weights

torch.set_num_threads(1)  # inputs are tiny: a second thread costs more than it gives

# The smallest version of each model, for the tests that every model must pass.
# A model that is not named here is tested at its default size.
TINY_OPTIONS: dict[str, dict[str, Any]] = {
    "dynamic_unet": {"encoder": "test_resnet"},
    "edsr": {"depth": 1, "width": 8},
    "fpn": {"encoder": "test_efficientnet"},
    "msrresnet": {"depth": 1, "width": 8},
    "srresnet_x1": {"depth": 1, "width": 8},
    "srresnet_x2": {"depth": 1, "width": 8},
    "srresnet_x4": {"depth": 1, "width": 8},
}


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of data sets that the environment variable ZOO_DATA names."""
    folder = os.environ.get("ZOO_DATA")
    if not folder:
        pytest.skip("needs data sets: set ZOO_DATA to their folder")
    return Path(folder)


@pytest.fixture(params=zoo.list_models())
def model_name(request: pytest.FixtureRequest) -> str:
    """The name of every registered model in turn."""
    return request.param


@pytest.fixture
def tiny_model(model_name: str) -> zoo.ZooModel:
    """Every registered model in turn, as small as it gets, random weights, eval mode."""
    torch.manual_seed(0)
    return zoo.create_model(model_name, **TINY_OPTIONS.get(model_name, {})).eval()


@pytest.fixture(scope="session")
def tiny_upscaler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small network that enlarges by 2."""
    torch.manual_seed(0)
    net = zoo.create_model("srresnet_x2", width=8, depth=1)
    return zoo.save_model(net, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Training runs on the CPU even where there is a GPU, which could round otherwise."""
    from accelerate.state import AcceleratorState

    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.fixture(scope="session")
def training_images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders for short trainings: "sr" holds four photographs of noise, "seg" drawn cars."""
    from generated_cars import generate_cars

    folder = tmp_path_factory.mktemp("images")
    (folder / "sr").mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (40, 44, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "sr" / f"{i}.png")
    return {"sr": folder / "sr", "seg": generate_cars(folder / "seg")}


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models and weights that the test registers are gone after it."""
    zoo.list_models()  # the shipped ones are registered now
    monkeypatch.setattr(registry, "_models", dict(registry._models))
    monkeypatch.setattr(registry, "_weights", dict(registry._weights))
    monkeypatch.setattr(registry, "_defaults", dict(registry._defaults))


@pytest.fixture
def toy(own_registry: None) -> Toy:
    """A registered model `toy` of width 8 with random weights."""

    @register_model(task="super-resolution")
    def toy(*, width: int = 4) -> Toy:
        return Toy(width)

    return toy(width=8)


@pytest.fixture
def toy_file(toy: Toy, tmp_path: Path) -> Path:
    path = tmp_path / "toy.safetensors"
    save_weights(toy.state_dict(), path)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of downloads, with the network allowed."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ZOO_CACHE", str(folder))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return folder


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder; /redirect?URL redirects to URL, /short?FILE ends in the middle of FILE,
    /cut?FILE too but without telling its length, /etag?FILE is not sent to whoever has it.
    """

    def do_GET(self) -> None:
        self.server.requests.append(self.path)  # type: ignore[attr-defined]
        action, _, argument = self.path.partition("?")
        if action.startswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", argument)
            self.end_headers()
        elif action.startswith("/short"):
            content = Path(self.directory, argument).read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        elif action.startswith("/cut"):
            content = Path(self.directory, argument).read_bytes()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
        elif action.startswith("/etag"):
            content = Path(self.directory, argument).read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            known = self.headers["If-None-Match"] == etag
            self.server.requests[-1] += f" {304 if known else 200}"  # type: ignore[attr-defined]
            self.send_response(304 if known else 200)
            self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(b"" if known else content)
        else:
            super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep the test output clean."""


class Server:
    """A web server on this machine that serves the files of `folder`."""

    def __init__(self, folder: Path, http: ThreadingHTTPServer) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{http.server_port}"
        self.requests: list[str] = http.requests  # type: ignore[attr-defined]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Handler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.requests = []  # type: ignore[attr-defined]
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield Server(folder, http)
        http.shutdown()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hugging Face hub on this machine; the client talks to it, with an empty cache, no token."""
    from huggingface_hub import constants

    with running_hub() as hub:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf-cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        # Its own protocol of upload cannot be answered here; without it, the client speaks LFS.
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True, raising=False)
        point_to(hub.url, monkeypatch)
        yield hub


@pytest.fixture
def hub_model(hub: Hub, tmp_path: Path) -> zoo.ZooModel:
    """A small model that is on the hub as "me/toy"."""
    torch.manual_seed(0)
    model = zoo.create_model("srresnet_x2", depth=1, width=8)
    hub.repo().upload(model.save_pretrained(tmp_path / "model"))
    return model


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT sets at import; older clients have a copy where they use it."""
    from huggingface_hub import constants, file_download

    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    for module in (constants, file_download):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
