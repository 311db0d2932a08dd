"""Models on a Hugging Face hub, one that runs on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from test_pickles import Trap
from toys import same_state

import zoo
from zoo.errors import WeightsError


def tiny(**options) -> zoo.ZooModel:
    return zoo.create_model("srresnet_x2", **{"depth": 1, "width": 8, **options})


class Hub:
    """One Hugging Face repository, "me/toy", kept in memory; it answers for timm's too."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.commit = "0" * 40
        self.created: list[dict] = []

    def upload(self, folder: Path) -> None:
        self.commit_files({path.name: path.read_bytes() for path in folder.iterdir()})

    def commit_files(self, files: dict[str, bytes]) -> None:
        self.files.update(files)
        self.commit = hashlib.sha1(b"".join(self.files.values())).hexdigest()


class HubHandler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        if urlsplit(self.path).path == "/api/models/me/toy/revision/main":
            return self.answer(200, b'{"id": "me/toy", "xetEnabled": false}')
        match = re.fullmatch(
            r"/(?:me/toy|timm/[\w.]+)/resolve/([^/]+)/(.+)", urlsplit(self.path).path
        )
        if not match or match[1] not in ("main", self.hub.commit):
            missing = "RevisionNotFound" if match else "RepoNotFound"
            return self.answer(404, headers={"X-Error-Code": missing})
        if match[2] not in self.hub.files:
            return self.answer(404, headers={"X-Error-Code": "EntryNotFound"})
        content = self.hub.files[match[2]]
        etag = hashlib.sha256(content).hexdigest()
        return self.answer(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": self.hub.commit})

    do_GET = do_HEAD

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            if asked["organization"] != "me":
                return self.answer(403)
            self.hub.created.append(asked)
            return self.answer(200, json.dumps({"url": "https://huggingface.co/me/toy"}).encode())
        if self.path == "/api/models/me/toy/preupload/main":
            names = [file["path"] for file in json.loads(body)["files"]]
            files = [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]
            return self.answer(200, json.dumps({"files": files}).encode())
        if self.path == "/api/models/me/toy/commit/main":
            lines = [json.loads(line) for line in body.splitlines()]
            values = [line["value"] for line in lines if line["key"] == "file"]
            self.hub.commit_files({v["path"]: base64.b64decode(v["content"]) for v in values})
            url = f"https://huggingface.co/me/toy/commit/{self.hub.commit}"
            answer = {"success": True, "commitUrl": url, "commitOid": self.hub.commit}
            return self.answer(200, json.dumps(answer).encode())
        return self.answer(403)

    def answer(
        self, status: int, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Keep the test output clean."""


def point_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What HF_ENDPOINT sets at import; older clients have a copy where they use it."""
    from huggingface_hub import constants, file_download

    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
    monkeypatch.setattr(constants, "ENDPOINT", url)
    for module in (constants, file_download):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine that huggingface_hub talks to, and an empty cache."""
    from huggingface_hub import constants

    handler = type("Handler", (HubHandler,), {"hub": Hub()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        point_to(f"http://127.0.0.1:{http.server_port}", monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf-cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield handler.hub
        http.shutdown()


def test_model_is_loaded_from_the_hub_with_its_exact_revision(hub, tmp_path):
    model = tiny()
    hub.upload(zoo.save_model(model, tmp_path / "model"))
    for revision in ("", "@main", f"@{hub.commit}"):
        again = zoo.load_model(f"hf-hub:me/toy{revision}")
        assert same_state(again, model)
        assert again.source == f"hf-hub:me/toy@{hub.commit}"
    created = zoo.create_model("srresnet_x2", weights="hf-hub:me/toy@main")
    assert same_state(created, model)
    with pytest.raises(WeightsError, match="holds weights of srresnet_x2, not of srresnet_x4"):
        zoo.create_model("srresnet_x4", weights="hf-hub:me/toy@main")
    with pytest.raises(TypeError, match="made with width=8.*width=9"):
        zoo.create_model("srresnet_x2", weights="hf-hub:me/toy@main", width=9)


def test_hub_files_are_verified_against_the_hubs_own_hash(hub, tmp_path):
    hub.upload(zoo.save_model(tiny(), tmp_path / "model"))
    zoo.load_model("hf-hub:me/toy")
    cached = next((tmp_path / "hf-cache").rglob("model.safetensors")).resolve()
    content = bytearray(cached.read_bytes())
    content[-1] ^= 1
    cached.write_bytes(content)
    with pytest.raises(WeightsError, match="truncated or altered.*delete it"):
        zoo.load_model("hf-hub:me/toy")


def test_a_folders_encoder_weights_are_not_fetched(hub, tmp_path):
    net = zoo.create_model("dynamic_unet", encoder="test_resnet")
    folder = zoo.save_model(net, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["options"]["encoder_weights"] = "default"  # as whoever writes it by hand may
    (folder / "config.json").write_text(json.dumps(config))
    hub.upload(folder)  # with no weights of the encoder alone
    assert same_state(zoo.load_model(folder), net)
    assert same_state(zoo.load_model("hf-hub:me/toy"), net)


def test_an_encoders_pickle_is_not_opened(hub, tmp_path):
    torch.save({"weight": Trap()}, tmp_path / "pytorch_model.bin")
    hub.commit_files({"pytorch_model.bin": (tmp_path / "pytorch_model.bin").read_bytes()})
    with pytest.raises(WeightsError, match="weights of the encoder test_resnet could not be had"):
        zoo.create_model("dynamic_unet", encoder="test_resnet", encoder_weights="default")


@pytest.mark.parametrize(
    "ask",
    [
        lambda: zoo.create_model("dynamic_unet", encoder="resnet18", encoder_weights="default"),
        lambda: zoo.create_model("fpn", encoder="test_resnet", encoder_weights="default"),
        lambda: zoo.load_model("hf-hub:me/toy"),
    ],
)
def test_a_hub_out_of_reach_is_asked_once(hub, monkeypatch, ask):
    """huggingface_hub would try again and again, for minutes."""
    from huggingface_hub import file_download

    def keep_trying(*arguments, **options):
        pytest.fail("the client's own attempts were begun")

    point_to("http://127.0.0.1:1", monkeypatch)
    for module in ("huggingface_hub", "timm.models._hub", file_download.__name__):
        monkeypatch.setattr(f"{module}.hf_hub_download", keep_trying)
    with pytest.raises(WeightsError, match=r"no answer from the hub: .*refused"):
        ask()


def test_hub_model_loads_offline_after_the_download(hub, tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="config.json of hf-hub:me/toy@main could not be"):
        zoo.load_model("hf-hub:me/toy")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    model = tiny()
    hub.upload(zoo.save_model(model, tmp_path / "model"))
    zoo.load_model("hf-hub:me/toy")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert same_state(zoo.load_model("hf-hub:me/toy"), model)


def test_what_the_hub_does_not_have_is_told(hub, tmp_path):
    hub.upload(zoo.save_model(tiny(), tmp_path / "model"))
    for name in ("hf-hub:me/other", "hf-hub:me/toy@v9"):
        with pytest.raises(WeightsError, match="config.json of .* could not be fetched: .*404"):
            zoo.load_model(name)
    del hub.files["model.safetensors"]
    with pytest.raises(WeightsError, match="model.safetensors of .* could not be fetched: .*404"):
        zoo.load_model("hf-hub:me/toy")


def test_pushed_model_comes_back(hub):
    model = tiny()
    url = model.push_to_hub("me/toy", private=True, token="hf_secret")
    assert url == f"https://huggingface.co/me/toy/commit/{hub.commit}"
    assert [repo["name"] for repo in hub.created] == ["toy"]
    assert sorted(hub.files) == ["config.json", "model.safetensors"]
    assert same_state(zoo.load_model("hf-hub:me/toy"), model)


def test_refused_push_is_told(hub):
    with pytest.raises(WeightsError, match="them/toy could not be uploaded: .*403"):
        tiny().push_to_hub("them/toy", token="hf_secret")
