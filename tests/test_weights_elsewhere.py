"""Weights that this copy of zoo does not hold: where they are looked for, and what is said."""

from __future__ import annotations

import json
from importlib.metadata import Distribution
from pathlib import Path

import pytest
import torch
from commands import run
from toys import declare, flip_a_bit, same_state

import zoo
from zoo.errors import WeightsError
from zoo.store.elsewhere import GITHUB, of_hub, of_pip, places


@pytest.fixture
def left_out(toy, toy_file, tmp_path, monkeypatch) -> zoo.Weights:
    """Declared weights of the toy whose file, in `toy_file`'s folder, the package lacks."""
    monkeypatch.setattr("zoo.sources.PRETRAINED", tmp_path / "package")
    return zoo.register_weights(declare(toy_file, file=toy_file.name), default=True)


def test_a_folder_that_the_environment_names(left_out, toy, toy_file, cache, monkeypatch):
    monkeypatch.setenv("ZOO_WEIGHTS", f"{toy_file.parent}/")
    assert same_state(zoo.create_model("toy.good"), toy)
    assert not cache.exists()
    flip_a_bit(toy_file, -1)
    with pytest.raises(WeightsError, match="toy.safetensors is truncated or altered.*copy it"):
        zoo.create_model("toy.good")


def test_an_address_that_the_environment_names(left_out, toy, toy_file, server, cache, monkeypatch):
    toy_file.rename(server.folder / "toy.safetensors")
    monkeypatch.setenv("ZOO_WEIGHTS", server.url)
    for _ in range(2):
        assert same_state(zoo.create_model("toy.good"), toy)
    assert server.requests == ["/toy.safetensors"]  # then from the cache
    monkeypatch.delenv("ZOO_WEIGHTS")
    assert same_state(zoo.create_model("toy.good"), toy)


def test_another_file_at_the_address_is_refused(left_out, toy_file, server, cache, monkeypatch):
    toy_file.rename(server.folder / "toy.safetensors")
    flip_a_bit(server.folder / "toy.safetensors", -1)
    monkeypatch.setenv("ZOO_WEIGHTS", server.url)
    with pytest.raises(WeightsError, match="could not be downloaded.*not serve the file that was"):
        zoo.create_model("toy.good")
    assert list(cache.iterdir()) == []


def test_without_a_network_the_sentence_says_which_file_goes_where(
    left_out, toy, toy_file, server, cache, monkeypatch
):
    monkeypatch.setenv("ZOO_WEIGHTS", server.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    target = cache / f"toy.good-{left_out.sha256[:8]}.safetensors"
    with pytest.raises(WeightsError) as caught:
        zoo.create_model("toy.good")
    for part in ("HF_HUB_OFFLINE is set", f"{server.url}/toy.safetensors", str(target)):
        assert part in str(caught.value)
    assert server.requests == []
    monkeypatch.delenv("ZOO_WEIGHTS")
    with pytest.raises(WeightsError, match="let ZOO_WEIGHTS name the folder") as caught:
        zoo.create_model("toy.good")
    for part in ("toy.safetensors", str(target), left_out.sha256):
        assert part in str(caught.value)
    cache.mkdir()
    toy_file.rename(target)  # by hand, as the sentence says
    assert same_state(zoo.create_model("toy.good"), toy)


def test_verify_names_what_is_not_here(left_out, toy_file, cache, monkeypatch):
    monkeypatch.setattr("zoo.commands.verify.list_models", lambda: ["toy"])
    lacking = run("verify")
    assert (lacking.status, lacking.stdout.startswith("not here: toy.good")) == (0, True)
    assert run("verify", "toy").status == 1  # asked for by name
    monkeypatch.setenv("ZOO_WEIGHTS", str(toy_file.parent))
    assert run("verify").stdout == f"ok toy.good {left_out.sha256}\n"


@pytest.mark.parametrize(
    ("folder", "repositories"),
    [
        ("me_zoo_main", ["me/zoo/main"]),
        ("my-self_my_zoo_v1", ["my-self/my_zoo/v1", "my-self/my/zoo_v1"]),
        ("zoo", []),
    ],
)
def test_a_folder_of_torch_hub_tells_the_repository(folder, repositories, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    found = list(of_hub(tmp_path.resolve() / folder))
    assert found == [f"{GITHUB}/{repository}" for repository in repositories]
    assert list(of_hub(tmp_path / "elsewhere" / folder)) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ({"url": "file:///home/me/the%20zoo", "dir_info": {}}, ["/home/me/the zoo"]),
        (
            {"url": "https://github.com/me/zoo.git", "vcs_info": {"commit_id": "abc"}},
            [f"{GITHUB}/me/zoo/abc"],
        ),
        ({"url": "https://example.org/zoo.git", "vcs_info": {"commit_id": "abc"}}, []),
        ({"url": "file:///home/me/zoo.whl", "archive_info": {}}, []),
        (None, []),
    ],
)
@pytest.mark.parametrize("home", [True, False])
def test_pip_tells_where_the_package_comes_from(source, found, home, tmp_path: Path):
    facts = tmp_path / "zoo_models-3.2.dist-info"
    facts.mkdir()
    url = "Project-URL: Repository, https://github.com/zoo/zoo\n" if home else ""
    (facts / "METADATA").write_text(f"Metadata-Version: 2.4\nName: zoo-models\nVersion: 3.2\n{url}")
    if source:
        (facts / "direct_url.json").write_text(json.dumps(source))
    assert list(of_pip(Distribution.at(facts))) == found + home * [f"{GITHUB}/zoo/zoo/v3.2"]


def test_what_the_environment_says_comes_first(monkeypatch):
    monkeypatch.setenv("ZOO_WEIGHTS", "https://example.org/zoo/")
    assert next(places("x.safetensors")) == "https://example.org/zoo/x.safetensors"
