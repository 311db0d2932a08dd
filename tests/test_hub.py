"""Models from a Hugging Face hub, one that runs on this machine; the client is the real one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from test_pickles import Trap
from toys import same_state

import zoo
from zoo import cli
from zoo.errors import InputError, WeightsError


def tiny(**options) -> zoo.ZooModel:
    return zoo.create_model("srresnet_x2", **{"depth": 1, "width": 8, **options})


def test_a_model_is_loaded_with_its_exact_revision(hub, hub_model):
    commit = hub.repo().refs["main"]
    hub.repo().refs["v1"] = commit
    for revision in ("", "@main", "@v1", f"@{commit}"):
        again = zoo.load_model(f"hf-hub:me/toy{revision}")
        assert same_state(again, hub_model)
        assert again.source == f"hf-hub:me/toy@{commit}"
    created = zoo.create_model("srresnet_x2", weights="hf-hub:me/toy@main")
    assert same_state(created, hub_model)
    with pytest.raises(WeightsError, match="holds weights of srresnet_x2, not of srresnet_x4"):
        zoo.create_model("srresnet_x4", weights="hf-hub:me/toy@main")
    with pytest.raises(TypeError, match="made with width=8.*width=9"):
        zoo.create_model("srresnet_x2", weights="hf-hub:me/toy@main", width=9)


def test_from_pretrained_takes_a_revision(hub, hub_model, tmp_path):
    first = hub.repo().refs["main"]
    changed = tiny()
    hub.repo().upload(changed.save_pretrained(tmp_path / "second"))
    assert same_state(zoo.ZooModel.from_pretrained("me/toy"), changed)
    for again in (
        zoo.ZooModel.from_pretrained("me/toy", revision=first),
        type(hub_model).from_pretrained(f"me/toy@{first}"),
        zoo.ZooModel.from_pretrained(f"hf-hub:me/toy@{first}"),
    ):
        assert same_state(again, hub_model)
        assert not again.training


def test_from_pretrained_takes_a_folder(hub_model, tmp_path):
    for place in (tmp_path / "model", str(tmp_path / "model")):
        assert same_state(zoo.ZooModel.from_pretrained(place), hub_model)


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("srresnet_x4", {}, WeightsError, "zoo.load_model..srresnet_x4.. loads it"),
        ("srresnet_x5", {}, WeightsError, "nor a repository, 'org/repo'. Did you mean"),
        ("me/toy@v1", {"revision": "v2"}, InputError, "names its revision already"),
        ("../toy", {}, WeightsError, "neither a folder nor a repository"),
        (Path("gone"), {}, WeightsError, "no config.json in gone"),
        (Path("gone"), {"revision": "v2"}, InputError, "no revision 'v2'"),
    ],
    ids=str,
)
def test_names_that_from_pretrained_refuses(hub, name, options, error, said):
    with pytest.raises(error, match=said):
        zoo.ZooModel.from_pretrained(name, **options)
    assert hub.requests == []


def test_a_class_loads_its_own_kind_only(hub, hub_model):
    other = type(zoo.create_model("unet34"))
    with pytest.raises(WeightsError, match="holds srresnet_x2, a SRResNet, not a Segment"):
        other.from_pretrained("me/toy")


@pytest.mark.parametrize("name", ["me/toy", "hf:me/toy", "https://huggingface.co/me/toy"])
def test_other_ways_of_writing_the_name_are_answered(hub, name):
    with pytest.raises(WeightsError, match="no folder .*. Did you mean 'hf-hub:me/toy'"):
        zoo.load_model(name)


def test_the_command_line_takes_a_revision(hub, hub_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (12, 10), "teal").save("a.png")
    commit = hub.repo().refs["main"]
    for number, model_name in enumerate(("hf-hub:me/toy@main", f"hf-hub:me/toy@{commit}")):
        with pytest.raises(SystemExit) as exit_:
            cli.main(["upscale", "a.png", "-o", f"out{number}/", "--model", model_name])
        assert exit_.value.code == 0
        assert Path(f"out{number}", "a.png").is_file()
    with pytest.raises(SystemExit) as exit_:
        cli.main(["upscale", "a.png", "-o", "out3/", "--model", "hf-hub:me/toy@v9"])
    assert exit_.value.code == 1


# Encoders


def test_a_folders_encoder_weights_are_not_fetched(hub, tmp_path):
    net = zoo.create_model("dynamic_unet", encoder="test_resnet")
    folder = zoo.save_model(net, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["options"]["encoder_weights"] = "default"  # as whoever writes it by hand may
    (folder / "config.json").write_text(json.dumps(config))
    hub.repo().upload(folder)  # with no weights of the encoder alone
    assert same_state(zoo.load_model(folder), net)
    assert same_state(zoo.load_model("hf-hub:me/toy"), net)


def test_an_encoders_pickle_is_not_opened(hub, tmp_path):
    import timm

    torch.save({"weight": Trap()}, tmp_path / "pytorch_model.bin")
    place = timm.get_pretrained_cfg("test_resnet").hf_hub_id
    hub.repo(place).commit({"pytorch_model.bin": (tmp_path / "pytorch_model.bin").read_bytes()})
    with pytest.raises(WeightsError, match="weights of the encoder test_resnet could not be had"):
        zoo.create_model("dynamic_unet", encoder="test_resnet", encoder_weights="default")
