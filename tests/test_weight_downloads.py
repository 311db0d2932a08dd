"""Weights from the web: verified, cached, found offline, and the sentence for every failure."""

from __future__ import annotations

import hashlib

import pytest
from toys import declare, flip_a_bit, same_state

import zoo
from zoo.errors import WeightsError
from zoo.store.download import check_url, fetch


def test_download_is_verified_cached_and_verified_again(toy, toy_file, server, cache):
    toy_file.rename(server.folder / "toy.safetensors")
    declared = declare(
        server.folder / "toy.safetensors",
        urls=(f"{server.url}/gone.safetensors", f"{server.url}/toy.safetensors"),
    )
    zoo.register_weights(declared, default=True)
    model = zoo.create_model("toy", weights="default")
    assert same_state(model, toy)
    cached = cache / f"toy.good-{declared.sha256[:8]}.safetensors"
    assert list(cache.iterdir()) == [cached]

    asked = len(server.requests)
    zoo.create_model("toy.good")
    assert len(server.requests) == asked  # from the cache

    flip_a_bit(cached, 200)
    with pytest.raises(WeightsError, match="truncated or altered.*delete it"):
        zoo.create_model("toy.good")
    cached.unlink()
    assert same_state(zoo.create_model("toy.good"), toy)


def test_a_cached_file_works_offline_and_a_missing_one_says_where_to_put_it(
    toy, toy_file, server, cache, monkeypatch
):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    declared = zoo.register_weights(declare(toy_file, urls=(f"{server.url}/toy.safetensors",)))
    with pytest.raises(WeightsError) as caught:
        zoo.create_model("toy.good")
    cached = cache / f"toy.good-{declared.sha256[:8]}.safetensors"
    for part in ("HF_HUB_OFFLINE", declared.urls[0], str(cached), declared.sha256):
        assert part in str(caught.value)
    assert server.requests == []
    cached.parent.mkdir()
    toy_file.rename(cached)  # by hand, as the sentence says
    assert same_state(zoo.create_model("toy.good"), toy)


def test_no_network_says_which_file_where_and_its_hash(toy_file, server, cache):
    nobody = "http://127.0.0.1:1/toy.safetensors"
    declared = zoo.register_weights(declare(toy_file, urls=(nobody,)))
    with pytest.raises(WeightsError, match="toy.good could not be downloaded") as caught:
        zoo.create_model("toy.good")
    for part in (nobody, f"toy.good-{declared.sha256[:8]}", declared.sha256, "refused"):
        assert part in str(caught.value)


def test_a_url_is_loaded_with_and_without_a_pinned_hash(toy, toy_file, server, cache):
    toy_file.rename(server.folder / "toy.safetensors")
    url = f"{server.url}/toy.safetensors"
    sha256 = hashlib.sha256((server.folder / "toy.safetensors").read_bytes()).hexdigest()
    for given in (url, f"{url}#sha256={sha256}"):
        assert same_state(zoo.create_model("toy", weights=given, width=8), toy)
    assert (cache / f"toy-{sha256[:8]}.safetensors").is_file()
    with pytest.raises(WeightsError, match="should begin with 0000000000000000.*does not serve"):
        zoo.create_model("toy", weights=f"{url}#sha256={'0' * 64}", width=8)
    assert len(list(cache.iterdir())) == 2


def test_a_download_cut_short_leaves_nothing(toy_file, server, cache):
    toy_file.rename(server.folder / "toy.safetensors")
    target = cache / "toy.safetensors"
    with pytest.raises(WeightsError, match="could not be downloaded"):
        fetch([f"{server.url}/short?toy.safetensors"], target, sha256=None, label="toy")
    assert list(cache.iterdir()) == []


def test_redirects_are_followed_but_not_away_from_https(toy_file, server, cache):
    toy_file.rename(server.folder / "toy.safetensors")
    local, foreign = f"{server.url}/toy.safetensors", "http://192.0.2.1/toy.safetensors"
    target = cache / "toy.safetensors"
    with pytest.raises(WeightsError, match=f"{foreign} is refused"):
        fetch([f"{server.url}/redirect?{foreign}"], target, sha256=None, label="toy")
    assert list(cache.iterdir()) == []
    fetch([f"{server.url}/redirect?{local}"], target, sha256=None, label="toy")
    assert target.read_bytes() == (server.folder / "toy.safetensors").read_bytes()


@pytest.mark.parametrize(
    "url", ["http://localhost.example.org/x", "http://127.0.0.1.nip.io/x", "x"]
)
def test_only_this_machine_may_speak_plain_http(url):
    with pytest.raises(WeightsError, match="https://"):
        check_url(url)
    check_url("http://[::1]:80/x")
    check_url("https://example.org/x")
