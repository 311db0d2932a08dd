"""Weights from the web: verified, cached, found offline, and the sentence for every failure."""

from __future__ import annotations

import hashlib

import pytest
from toys import Toy, declare, flip_a_bit, same_state

import zoo
from zoo.errors import WeightsError
from zoo.store.download import check_url, fetch, fetch_latest
from zoo.store.state_dict import save_weights


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


def test_a_mirror_with_another_file_does_not_block_the_next(toy, toy_file, server, cache):
    (server.folder / "altered.safetensors").write_bytes(toy_file.read_bytes() + b"x")
    (server.folder / "page.safetensors").write_text("<html>Not here any more.</html>")
    toy_file.rename(server.folder / "toy.safetensors")
    names = ["altered", "page", "gone", "toy"]
    urls = (
        f"{server.url}/redirect?http://192.0.2.1/toy.safetensors",
        *(f"{server.url}/{name}.safetensors" for name in names),
    )
    declared = declare(server.folder / "toy.safetensors", urls=urls)
    zoo.register_weights(declared, default=True)
    assert same_state(zoo.create_model("toy.good"), toy)
    assert len(server.requests) == 5


def test_a_url_is_loaded_with_and_without_a_pinned_hash(toy, toy_file, server, cache):
    toy_file.rename(server.folder / "toy.safetensors")
    url = f"{server.url}/toy.safetensors"
    sha256 = hashlib.sha256((server.folder / "toy.safetensors").read_bytes()).hexdigest()
    for given in (url, f"{url}#sha256={sha256}"):
        assert same_state(zoo.create_model("toy", weights=given, width=8), toy)
    assert (cache / f"toy-{sha256[:8]}.safetensors").is_file()
    with pytest.raises(WeightsError, match="should begin with 0000000000000000.*does not serve"):
        zoo.create_model("toy", weights=f"{url}#sha256={'0' * 64}", width=8)
    assert len(list(cache.glob("*.safetensors"))) == 2


@pytest.mark.parametrize("path", ["", "etag.safetensors?"])
def test_a_url_without_a_hash_gives_what_it_serves_now(
    toy, toy_file, server, cache, monkeypatch, caplog, path
):
    def load():
        return zoo.create_model("toy", weights=f"{server.url}/{path}toy.safetensors", width=8)

    served = toy_file.rename(server.folder / "toy.safetensors")
    for _ in range(2):
        assert same_state(load(), toy)
    if path:
        assert [request[-3:] for request in server.requests] == ["200", "304"]

    changed = Toy(8)
    save_weights(changed.state_dict(), served)
    assert same_state(load(), changed)

    cached = next(cache.glob("*.safetensors"))
    flip_a_bit(cached, 300)
    assert same_state(load(), changed)  # mended

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert same_state(load(), changed)
    assert "HF_HUB_OFFLINE is set; the copy of last time is used" in caplog.text
    flip_a_bit(cached, 300)
    with pytest.raises(WeightsError, match="could not be downloaded.*by hand"):
        load()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("short?toy.safetensors", "ended after"),
        ("cut?toy.safetensors", "no whole safetensors file"),
        ("page.safetensors", "no whole safetensors file"),
        ("redirect?http://192.0.2.1/toy.safetensors", "192.0.2.1/toy.safetensors is refused"),
    ],
)
def test_a_bad_download_leaves_nothing(toy_file, server, cache, path, reason):
    sha256 = hashlib.sha256(toy_file.read_bytes()).hexdigest()
    toy_file.rename(server.folder / "toy.safetensors")
    (server.folder / "page.safetensors").write_text("<html>Sign in to go on.</html>")
    target, url = cache / "toy.safetensors", f"{server.url}/{path}"
    with pytest.raises(WeightsError, match=f"could not be downloaded.*{reason}"):
        fetch_latest(url, target)
    with pytest.raises(WeightsError, match="could not be downloaded"):
        fetch([url], target, sha256=sha256, label="toy")
    assert list(cache.iterdir()) == []


def test_redirects_are_followed(toy_file, server, cache):
    toy_file.rename(server.folder / "toy.safetensors")
    target = cache / "toy.safetensors"
    fetch_latest(f"{server.url}/redirect?{server.url}/toy.safetensors", target)
    assert target.read_bytes() == (server.folder / "toy.safetensors").read_bytes()


@pytest.mark.parametrize(
    "url", ["http://localhost.example.org/x", "http://127.0.0.1.nip.io/x", "x"]
)
def test_only_this_machine_may_speak_plain_http(url):
    with pytest.raises(WeightsError, match="https://"):
        check_url(url)
    check_url("http://[::1]:80/x")
    check_url("https://example.org/x")
