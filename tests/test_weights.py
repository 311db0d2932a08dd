"""Weights: finding, downloading, verifying and loading them, and the sentence for every failure."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

import zoo
from zoo import sources, weights
from zoo.download import check_url, fetch
from zoo.errors import OptionError, UnknownNameError, WeightsError
from zoo.registry import register_model
from zoo.statedict import canonical, load_weights, read_weights, save_weights
from zoo.weights import Weights, WeightsMeta

META = WeightsMeta(
    version=1,
    license="CC0-1.0",
    training_data="none",
    training_data_terms="none",
    recipe="benchmarks/recipes/none.yaml",
    options={"width": 8},
)


class Toy(zoo.ZooModel):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)


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


def declare(path: Path, name: str = "toy.good", **places) -> Weights:
    content = path.read_bytes()
    return Weights(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        meta=META,
        **places,
    )


def same_state(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def flip_a_bit(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


# Names


def test_weights_are_found_by_tag_and_by_default(toy_file):
    good = zoo.register_weights(declare(toy_file, file="good.safetensors"), default=True)
    other = zoo.register_weights(declare(toy_file, "toy.better", file="better.safetensors"))
    assert zoo.list_weights("toy") == ["toy.good", "toy.better"]  # the default ones first
    assert zoo.get_weights("toy") is zoo.get_weights("toy.default") is good
    assert zoo.get_weights("toy.better") is other
    assert "toy" in zoo.list_models(pretrained=True)


def test_unknown_weights_name_those_that_exist(toy_file):
    with pytest.raises(UnknownNameError, match="toy has no weights"):
        zoo.get_weights("toy")
    zoo.register_weights(declare(toy_file, file="good.safetensors"))
    with pytest.raises(UnknownNameError, match="Did you mean 'toy.good'.*Weights of toy: toy.good"):
        zoo.create_model("toy.god")
    with pytest.raises(UnknownNameError, match="no default weights. Weights of toy: toy.good"):
        zoo.create_model("toy", weights="default")
    with pytest.raises(UnknownNameError, match="no model called 'toi'. Did you mean 'toy'"):
        zoo.list_weights("toi")


def test_weights_are_registered_once(toy_file):
    good = zoo.register_weights(declare(toy_file, file="good.safetensors"), default=True)
    with pytest.raises(ValueError, match="already registered"):
        zoo.register_weights(good)
    with pytest.raises(ValueError, match="toy already has toy.good"):
        zoo.register_weights(declare(toy_file, "toy.b", file="b.safetensors"), default=True)
    assert zoo.list_weights("toy") == ["toy.good"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "toy"}, "architecture.tag"),
        ({"sha256": "abc"}, "64 lower-case hexadecimal digits"),
        ({"file": None}, "a file or at least one URL"),
    ],
)
def test_incomplete_declarations_are_refused(change, complaint):
    fields = {"name": "a.b", "sha256": "0" * 64, "size": 1, "meta": META, "file": "x.safetensors"}
    with pytest.raises(ValueError, match=complaint):
        Weights(**{**fields, **change})


def test_shipped_files_are_those_declared():
    """Code, index.json and the files agree on every hash and size, and no file is left over."""
    declared = [
        zoo.get_weights(name) for model in zoo.list_models() for name in zoo.list_weights(model)
    ]
    for entry in declared:
        assert weights.index()[entry.name]["sha256"] == entry.sha256
        assert weights.index()[entry.name]["size"] == entry.size
        if entry.file:
            content = (weights.PRETRAINED / entry.file).read_bytes()
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (entry.sha256, entry.size)
    assert set(weights.index()) == {entry.name for entry in declared}
    assert {path.name for path in weights.PRETRAINED.iterdir()} == {
        "index.json",
        *(entry.file for entry in declared if entry.file),
    }


def test_metrics_come_from_the_index(toy_file, tmp_path, monkeypatch):
    (tmp_path / "index.json").write_text(json.dumps({"toy.good": {"metrics": {"psnr_y": 38.0}}}))
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path)
    weights.index.cache_clear()
    assert declare(toy_file, file="x").metrics == {"psnr_y": 38.0}
    assert declare(toy_file, "toy.new", file="x").metrics == {}
    weights.index.cache_clear()


# Loading


def test_bundled_file_is_verified_and_loaded(toy, toy_file, monkeypatch):
    zoo.register_weights(declare(toy_file, file=toy_file.name))
    monkeypatch.setattr(sources, "PRETRAINED", toy_file.parent)
    model = zoo.create_model("toy.good")
    assert model.source == "toy.good"
    assert model.config["options"] == {"width": 8}  # the weights fix it
    assert same_state(model, toy)
    assert same_state(zoo.create_model("toy", weights="toy.good", width=8), toy)
    with pytest.raises(OptionError, match="made with width=8.*width=4"):
        zoo.create_model("toy.good", width=4)
    flip_a_bit(toy_file, -1)
    with pytest.raises(WeightsError, match="truncated or altered.*install zoo again"):
        zoo.create_model("toy.good")
    toy_file.unlink()
    with pytest.raises(WeightsError, match="is missing; install zoo again"):
        zoo.create_model("toy.good")


def test_local_file_is_loaded_with_the_options_it_was_made_with(toy, toy_file):
    model = zoo.create_model("toy", weights=toy_file, width=8)
    assert same_state(model, toy)
    assert model.source == str(toy_file)
    with pytest.raises(WeightsError, match=r"6 of another shape .*\(conv.weight \[8, 3, 3, 3"):
        zoo.create_model("toy", weights=str(toy_file))


@pytest.mark.parametrize("at", [12, 300, -1], ids=["header", "checksum or data", "data"])
def test_one_altered_bit_is_noticed_in_a_local_file(toy_file, at):
    flip_a_bit(toy_file, at)
    with pytest.raises(WeightsError, match="copy or download it again"):
        zoo.create_model("toy", weights=toy_file, width=8)


@pytest.mark.parametrize("length", [0, 5, 200, -1])
def test_truncated_file_is_noticed(toy_file, length):
    toy_file.write_bytes(toy_file.read_bytes()[:length])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        zoo.create_model("toy", weights=toy_file, width=8)


@pytest.mark.parametrize("name", ["model.pth", "model.pt", "folder/model.ckpt", "model.bin"])
def test_pickles_are_never_opened(toy, tmp_path, monkeypatch, name):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("the pickle was opened",)

    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path(name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(WeightsError, match="a pickle can run any code.*safetensors.torch.save"):
        zoo.create_model("toy", weights=name)
    renamed = Path(name).rename("model.safetensors")
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        zoo.create_model("toy", weights=renamed)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("nowhere/x.safetensors", "There is no weight file nowhere/x.safetensors"),
        ("x.onnx", r"accepted are \*.safetensors files"),
        ("some/folder", "opened by load_model"),
        ("http://example.org/x.safetensors", "from https:// addresses only"),
        ("ftp://example.org/x.safetensors", "from https:// addresses only"),
        ("https://example.org/x.pth", "a pickle can run any code"),
        ("https://example.org/x.safetensors#md5=0", "only sha256="),
        ("hf-hub:only-a-name", "not of the form hf-hub:org/repo@revision"),
    ],
)
def test_what_is_no_weight_file_is_told(toy, given, complaint):
    with pytest.raises(WeightsError, match=complaint):
        zoo.create_model("toy", weights=given)


def test_weights_of_another_model_are_told(toy_file):
    with pytest.raises(WeightsError, match="of another model or of other options.*missing.*unexp"):
        zoo.create_model("srresnet_x2", weights=toy_file)
    declared = zoo.register_weights(declare(toy_file, file="x.safetensors"))
    for given in (declared, "toy.good"):
        with pytest.raises(WeightsError, match="holds weights of toy, not of srresnet_x2"):
            zoo.create_model("srresnet_x2", weights=given)


def test_a_failed_load_leaves_the_model_unchanged(toy):
    before = {key: value.clone() for key, value in toy.state_dict().items()}
    state = {key: value + 1 for key, value in before.items()}
    del state["norm.bias"]
    with pytest.raises(WeightsError, match=r"1 missing \(norm.bias\); use another"):
        load_weights(toy, state, label="x", hint="use another")
    assert all(torch.equal(value, before[key]) for key, value in toy.state_dict().items())


def test_half_precision_files_load_as_single(toy, tmp_path):
    half = {key: v.half() if v.is_floating_point() else v for key, v in toy.state_dict().items()}
    save_weights(half, tmp_path / "half.safetensors")
    model = zoo.create_model("toy", weights=tmp_path / "half.safetensors", width=8)
    assert model.conv.weight.dtype == model.norm.running_var.dtype == torch.float32
    assert torch.equal(model.conv.weight, toy.conv.weight.half().float())


def test_saved_files_are_the_same_byte_for_byte(toy, tmp_path):
    for name in ("a", "b"):
        save_weights(toy.state_dict(), tmp_path / f"{name}.safetensors")
    a, b = (tmp_path / f"{name}.safetensors" for name in "ab")
    assert a.read_bytes() == b.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2  # nothing temporary is left


def test_a_failed_save_keeps_the_old_file(toy_file, monkeypatch):
    before = toy_file.read_bytes()

    def full_disk(tensors, path, metadata):
        Path(path).write_bytes(b"half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr("zoo.statedict.save_file", full_disk)
    with pytest.raises(OSError, match="no space left"):
        save_weights({"x": torch.zeros(1)}, toy_file)
    assert toy_file.read_bytes() == before
    assert list(toy_file.parent.iterdir()) == [toy_file]


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
def test_prefixes_of_wrappers_are_removed(toy, tmp_path, prefix):
    state = {prefix + key: value for key, value in toy.state_dict().items()}
    load_weights(Toy(8), canonical(state), label="x")
    from safetensors.torch import save_file

    save_file(state, tmp_path / "foreign.safetensors")  # no checksum, wrapped keys
    assert read_weights(tmp_path / "foreign.safetensors").keys() == toy.state_dict().keys()


def test_two_keys_never_become_one():
    with pytest.raises(WeightsError, match="wrapper's prefix"):
        canonical({"a._orig_mod.b": torch.zeros(1), "a.b": torch.ones(1)})


# Downloads


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
