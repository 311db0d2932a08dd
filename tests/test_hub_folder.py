"""Models in folders, on disk and on a Hugging Face hub (one that runs on this machine)."""

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
from torch import nn

import zoo
from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.registry import register_model


def tiny(**options) -> zoo.ZooModel:
    return zoo.create_model("srresnet_x2", **{"depth": 1, "width": 8, **options})


def same_state(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


# On disk


def test_every_model_survives_saving_and_loading(tiny_model, tmp_path):
    folder = zoo.save_model(tiny_model, tmp_path / "new" / "folder")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    again = zoo.load_model(folder)
    image = torch.rand(1, 3, 35, 32)
    assert torch.equal(again(image), tiny_model(image))
    assert again.config == tiny_model.config
    assert again.source == str(folder)
    assert not again.training


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model.to(memory_format=torch.channels_last),
        torch.compile,
        nn.DataParallel,
        lambda model: nn.DataParallel(torch.compile(model)),
        lambda model: torch.compile(nn.DataParallel(model)),
    ],
    ids=["channels_last", "compiled", "parallel", "parallel compiled", "compiled parallel"],
)
def test_wrapped_models_are_saved_without_the_wrapper(tmp_path, wrap):
    model = tiny()
    assert same_state(zoo.load_model(zoo.save_model(wrap(model), tmp_path)), model)


def test_a_model_with_a_compiled_part_is_saved_without_the_wrapper(tmp_path):
    model, plain = tiny(), tiny()
    plain.load_state_dict(model.state_dict())
    model.body = torch.compile(model.body)
    assert same_state(zoo.load_model(zoo.save_model(model, tmp_path)), plain)


def test_distributed_model_is_saved_without_the_wrapper(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        model = tiny()
        folder = zoo.save_model(nn.parallel.DistributedDataParallel(model), tmp_path / "model")
        assert same_state(zoo.load_model(folder), model)
    finally:
        torch.distributed.destroy_process_group()


def test_half_precision_is_kept_in_the_file_and_loads_as_single(tmp_path):
    model = tiny().half()
    zoo.save_model(model, tmp_path / "half")
    zoo.save_model(tiny(), tmp_path / "single")
    half, single = (tmp_path / n / "model.safetensors" for n in ("half", "single"))
    assert half.stat().st_size < 0.7 * single.stat().st_size
    assert same_state(zoo.load_model(tmp_path / "half"), model.float())


def test_saving_again_replaces_the_files(tmp_path):
    zoo.save_model(tiny(), tmp_path)
    second = tiny(width=6)
    zoo.save_model(second, tmp_path)
    assert same_state(zoo.load_model(tmp_path), second)
    assert len(list(tmp_path.iterdir())) == 2


def test_tuples_among_the_options_survive(own_registry, tmp_path):
    class Toy(zoo.ZooModel):
        def __init__(self, widths: tuple[int, ...]) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(3, width, 1) for width in widths)

    @register_model(task="segmentation")
    def toy(*, widths: tuple[int, ...] = (1,)) -> Toy:
        return Toy(widths)

    model = zoo.load_model(zoo.save_model(toy(widths=(2, 3)), tmp_path))
    assert model.config["options"] == {"widths": (2, 3)}


def test_modules_that_zoo_did_not_build_are_refused(tmp_path):
    with pytest.raises(InputError, match="not a Conv2d"):
        zoo.save_model(nn.Conv2d(1, 1, 1), tmp_path / "folder")
    model = tiny()
    model.config["options"]["encoder"] = nn.Identity()
    with pytest.raises(InputError, match="an option that config.json cannot hold"):
        zoo.save_model(model, tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_incomplete_folders_are_told(tmp_path):
    with pytest.raises(WeightsError, match="no config.json in .*nowhere"):
        zoo.load_model(tmp_path / "nowhere")
    zoo.save_model(tiny(), tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match="no weight file .*model.safetensors"):
        zoo.load_model(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"model_type": "bert"}', '{"architecture": "a", "options": 3}']
)
def test_foreign_configurations_are_told(tmp_path, text):
    zoo.save_model(tiny(), tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(WeightsError, match="does not tell the model's architecture"):
        zoo.load_model(tmp_path)


def test_configuration_and_weights_must_fit_each_other(tmp_path):
    zoo.save_model(tiny(), tmp_path)
    config = tmp_path / "config.json"
    original = config.read_text()
    config.write_text(original.replace("srresnet_x2", "srresnet_x4"))
    with pytest.raises(WeightsError, match="of another model or of other options"):
        zoo.load_model(tmp_path)
    config.write_text(original.replace("srresnet_x2", "srresnet_x5"))
    with pytest.raises(UnknownNameError, match="Did you mean"):
        zoo.load_model(tmp_path)
    config.write_text(original.replace("depth", "deepness"))
    with pytest.raises(TypeError, match="no option 'deepness'"):
        zoo.load_model(tmp_path)


# On a hub


class Hub:
    """One Hugging Face repository, "me/toy", kept in memory."""

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
        match = re.fullmatch(r"/me/toy/resolve/([^/]+)/(.+)", urlsplit(self.path).path)
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


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on this machine that huggingface_hub talks to, and an empty cache."""
    from huggingface_hub import constants

    handler = type("Handler", (HubHandler,), {"hub": Hub()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        url = f"http://127.0.0.1:{http.server_port}"
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(constants.ENDPOINT, url)
        monkeypatch.setattr(constants, "ENDPOINT", url)  # what HF_ENDPOINT sets at import
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
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
