"""Downloads from a Hugging Face hub that fail, or that must not happen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import point_to
from fake_hub import TOKEN, Hub, Refusal
from toys import flip_a_bit, same_state

import zoo
from zoo.errors import UnknownNameError, WeightsError

ROOT = Path(__file__).parents[1]


def blobs(tmp_path: Path) -> list[Path]:
    """The files of the hub's cache that hold content, whole or not."""
    return [path for path in (tmp_path / "hf-cache").rglob("blobs/*") if path.is_file()]


def test_an_interrupted_download_goes_on_where_it_ended(hub, hub_model, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # so much is kept
    hub.cuts = [6500]
    with suppress(WeightsError):  # newer clients go on at once, older ones with the next call
        zoo.load_model("hf-hub:me/toy")
    assert same_state(zoo.load_model("hf-hub:me/toy"), hub_model)
    assert len(hub.asked(r"GET /cdn/\w+ bytes=6\d\d\d-$")) == 1


@pytest.mark.parametrize("symlinks", [True, False])
def test_content_of_another_hash_is_not_kept(hub, hub_model, tmp_path, monkeypatch, symlinks):
    if not symlinks:
        without_symlinks(monkeypatch)
    hub.altered = True
    with pytest.raises(WeightsError, match="truncated or altered: its sha256 .* it was deleted"):
        zoo.load_model("hf-hub:me/toy")
    assert not list((tmp_path / "hf-cache").rglob("model.safetensors"))
    assert [blob for blob in blobs(tmp_path) if len(blob.name) == 64] == []
    hub.altered = False
    assert same_state(zoo.load_model("hf-hub:me/toy"), hub_model)


def without_symlinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a file system that has none: the client then moves files to their names."""
    from huggingface_hub import file_download

    monkeypatch.setattr(file_download, "are_symlinks_supported", lambda *place: False)


def test_a_truncated_download_is_not_kept(hub, hub_model, tmp_path):
    hub.shortened = True
    with pytest.raises(WeightsError, match="model.safetensors of hf-hub:me/toy@.* be of size"):
        zoo.load_model("hf-hub:me/toy")
    assert not list((tmp_path / "hf-cache").rglob("model.safetensors"))
    hub.shortened = False
    assert same_state(zoo.load_model("hf-hub:me/toy"), hub_model)


def test_a_cached_file_that_was_altered_is_fetched_again(hub, hub_model, tmp_path):
    zoo.load_model("hf-hub:me/toy")
    (cached,) = [blob for blob in blobs(tmp_path) if len(blob.name) == 64]
    flip_a_bit(cached, -1)
    with pytest.raises(WeightsError, match="truncated or altered.*downloads it again"):
        zoo.load_model("hf-hub:me/toy")
    assert same_state(zoo.load_model("hf-hub:me/toy"), hub_model)


def test_a_cache_that_shares_files_by_another_hash_is_understood(hub, hub_model, tmp_path):
    """As newer clients do with the hub's Xet storage: the blob is itself a link."""
    zoo.load_model("hf-hub:me/toy")
    (blob,) = [blob for blob in blobs(tmp_path) if len(blob.name) == 64]
    shared = tmp_path / "hf-cache" / "blobs" / "ab" / f"ab{'0' * 62}"
    shared.parent.mkdir(parents=True)
    blob.rename(shared)
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    assert same_state(zoo.load_model("hf-hub:me/toy"), hub_model)
    flip_a_bit(shared, -1)
    with pytest.raises(WeightsError, match="truncated or altered"):
        zoo.load_model("hf-hub:me/toy")
    assert not shared.exists()
    assert same_state(zoo.load_model("hf-hub:me/toy"), hub_model)


def test_what_was_altered_before_its_upload_is_told(hub, hub_model, tmp_path):
    flip_a_bit(tmp_path / "model" / "model.safetensors", -1)
    hub.repo().upload(tmp_path / "model")  # the hub's hash is that of the altered file
    with pytest.raises(WeightsError, match="checksum does not match its tensors"):
        zoo.load_model("hf-hub:me/toy")


def test_a_missing_revision_is_told_with_those_that_exist(hub, hub_model):
    hub.repo().refs["v1.0"] = hub.repo().refs["main"]
    with pytest.raises(WeightsError, match="no revision 'v1'. Did you mean 'v1.0'. It has"):
        zoo.ZooModel.from_pretrained("me/toy", revision="v1")
    with pytest.raises(WeightsError, match="no revision '0123abc'. It has main, v1.0.$"):
        zoo.load_model("hf-hub:me/toy@0123abc")


def test_missing_repositories_and_files_are_told(hub, hub_model):
    with pytest.raises(WeightsError, match=r"hf-hub:me/other@main .* does not exist \(401\).*log"):
        zoo.load_model("hf-hub:me/other")
    with pytest.raises(WeightsError, match=r"the hub has no repository me/other \(404\)"):
        zoo.ZooModel.from_pretrained("me/other", token=TOKEN)
    del hub.repo().files["model.safetensors"]
    with pytest.raises(WeightsError, match="model.safetensors of hf-hub:me/toy.* no such file"):
        zoo.load_model("hf-hub:me/toy")


def test_a_private_repository_wants_a_token(hub, hub_model, tmp_path, monkeypatch):
    hub.repo().private = True
    for token in (None, "hf_wrong"):
        with pytest.raises(WeightsError, match=r"private or does not exist \(401\).*HF_TOKEN"):
            zoo.ZooModel.from_pretrained("me/toy", token=token)
    assert same_state(zoo.ZooModel.from_pretrained("me/toy", token=TOKEN), hub_model)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    again = zoo.ZooModel.from_pretrained("me/toy", cache_dir=tmp_path / "other")
    assert same_state(again, hub_model)
    assert list((tmp_path / "other").rglob("model.safetensors"))


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (Refusal(503), "fetched: .*503"),
        (Refusal(403), r"the token does not allow it \(403\)"),
        (Refusal(403, "GatedRepo"), "its owner grants access on request"),
    ],
)
def test_a_hub_that_refuses_is_asked_once(hub, hub_model, refusal, said):
    hub.refusal = refusal
    with pytest.raises(WeightsError, match=f"config.json of hf-hub:me/toy@main .*{said}"):
        zoo.load_model("hf-hub:me/toy")
    assert len(hub.asked("config.json")) == 1


def test_an_unknown_model_is_told_with_the_nearest(hub, hub_model, tmp_path):
    config = json.loads(hub.repo().files["config.json"])
    changed = json.dumps({**config, "architecture": "srresnet_x5"}).encode()
    hub.repo().commit({"config.json": changed})
    with pytest.raises(UnknownNameError, match="config.json of hf-hub:me/toy@.*Did you mean 'srr"):
        zoo.load_model("hf-hub:me/toy")
    hub.repo().commit({"config.json": b'{"model_type": "bert"}'})
    with pytest.raises(WeightsError, match="config.json of hf-hub:me/toy@.* does not tell"):
        zoo.load_model("hf-hub:me/toy")
    assert hub.asked("model.safetensors") == []


# Without a network


def test_offline_with_a_warm_and_with_a_cold_cache(hub, hub_model, tmp_path):
    assert same_state(zoo.load_model("hf-hub:me/toy"), hub_model)
    asked = len(hub.requests)
    program = """if True:
        import zoo
        print(zoo.load_model("hf-hub:me/toy").source)
        zoo.ZooModel.from_pretrained("me/toy", cache_dir="cold")"""
    offline = start(program, hub, tmp_path, HF_HUB_OFFLINE="1")
    printed, said = offline.communicate(timeout=120)
    assert printed.strip() == f"hf-hub:me/toy@{hub.repo().refs['main']}"
    assert "WeightsError: config.json of hf-hub:me/toy@main could not be fetched: HF_HUB" in said
    assert len(hub.requests) == asked


def start(program: str, hub: Hub, tmp_path: Path, **more: str) -> subprocess.Popen[str]:
    """Another process whose client finds hub and cache by the environment alone."""
    places = {"HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path / "hf-cache")}
    environment = {**os.environ, **places, "HF_HOME": str(tmp_path / "home"), **more}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_two_processes_download_at_once(hub, hub_model, tmp_path):
    hub.seconds = 1.0  # the second one asks before the first is done
    program = "import zoo; print(zoo.ZooModel.from_pretrained('me/toy').source)"
    processes = [start(program, hub, tmp_path) for _ in range(2)]
    for process in processes:
        printed, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
        assert printed.strip() == f"hf-hub:me/toy@{hub.repo().refs['main']}"
    assert len(hub.asked("GET /cdn/")) == 1
    assert not list((tmp_path / "hf-cache").rglob("*.incomplete"))


def test_local_files_only_asks_nobody(hub, hub_model):
    with pytest.raises(WeightsError, match="local_files_only forbids the network"):
        zoo.ZooModel.from_pretrained("me/toy", local_files_only=True)
    assert hub.requests == []
    zoo.ZooModel.from_pretrained("me/toy")
    asked = len(hub.requests)
    assert same_state(zoo.ZooModel.from_pretrained("me/toy", local_files_only=True), hub_model)
    assert len(hub.requests) == asked


def test_a_cached_model_outlives_the_hub(hub, hub_model, monkeypatch):
    zoo.load_model("hf-hub:me/toy")
    point_to("http://127.0.0.1:1", monkeypatch)
    assert same_state(zoo.load_model("hf-hub:me/toy"), hub_model)


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
    # timm first: when imported, it copies what it finds in huggingface_hub.
    for module in ("timm.models._hub", "huggingface_hub", file_download.__name__):
        monkeypatch.setattr(f"{module}.hf_hub_download", keep_trying)
    with pytest.raises(WeightsError, match=r"no answer from the hub: .*refused"):
        ask()
