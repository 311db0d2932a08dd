"""Weights: finding, verifying and loading them, and the sentence for every failure."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from toys import META, Toy, declare, flip_a_bit, same_state

import zoo
from zoo import registry as weights
from zoo import sources
from zoo.errors import OptionError, UnknownNameError, WeightsError
from zoo.registry import Weights
from zoo.store.state_dict import (
    canonical,
    fingerprint,
    load_weights,
    read_weights,
    save_weights,
)

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
        "README.md",
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
    with pytest.raises(WeightsError, match="is not in this copy of zoo: let ZOO_WEIGHTS"):
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


def test_the_checksum_covers_shapes_too(toy, toy_file):
    with safe_open(toy_file, framework="pt") as file:
        metadata = file.metadata()
    state = toy.state_dict() | {"conv.weight": toy.conv.weight.detach().reshape(3, 8, 3, 3)}
    save_file(state, toy_file, metadata=metadata)  # the same bytes in another form
    with pytest.raises(WeightsError, match="was altered after it was saved"):
        read_weights(toy_file)


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
    state = before | {"norm.num_batches_tracked": torch.tensor(1.0)}  # a whole number in the model
    with pytest.raises(WeightsError, match=r"1 of another shape or kind \(norm.num[^;]*\)\.$"):
        load_weights(toy, state, label="x")
    with pytest.raises(WeightsError, match=r"entries 1 unexpected \(more\)\.$"):
        load_weights(toy, {**before, "more": torch.zeros(1)}, label="x")
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


def test_neither_memory_layout_nor_shared_memory_matters(tmp_path):
    weight = torch.rand(4, 3, 2, 2)
    plain, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_weights({"a": weight, "b": weight.clone()}, plain)
    weight = weight.to(memory_format=torch.channels_last)
    save_weights({"a": weight, "b": weight}, other)
    assert plain.read_bytes() == other.read_bytes()


def test_a_copy_in_half_precision_has_the_same_fingerprint():
    half = {"a": torch.rand(4).half(), "steps": torch.tensor(2**24 + 1)}
    single = {key: v.float() if v.is_floating_point() else v for key, v in half.items()}
    assert fingerprint(half) == fingerprint(single)
    assert fingerprint(half) != fingerprint({**half, "steps": torch.tensor(2**24)})


def test_a_failed_save_keeps_the_old_file(toy_file, monkeypatch):
    before = toy_file.read_bytes()

    def full_disk(path, content):
        path.write_text("half of it")
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
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
    save_file(state, tmp_path / "foreign.safetensors")  # no checksum, wrapped keys
    assert read_weights(tmp_path / "foreign.safetensors").keys() == toy.state_dict().keys()


def test_two_keys_never_become_one():
    with pytest.raises(WeightsError, match="wrapper's prefix"):
        canonical({"a._orig_mod.b": torch.zeros(1), "a.b": torch.ones(1)})
