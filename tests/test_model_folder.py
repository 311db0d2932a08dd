"""Models in folders: saved, loaded, and the sentence for a folder that does not fit."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from toys import same_state

import zoo
from zoo.errors import InputError, OptionError, UnknownNameError, WeightsError
from zoo.registry import register_model


def tiny(**options) -> zoo.ZooModel:
    return zoo.create_model("srresnet_x2", **{"depth": 1, "width": 8, **options})


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


@pytest.mark.parametrize("names", [["module"], ["module", "module"]])
def test_a_part_named_like_a_wrapper_survives(own_registry, tmp_path, names):
    class Toy(zoo.ZooModel):
        classifier = f"{'.'.join(names)}.head"

        def __init__(self, classes: int) -> None:
            super().__init__()
            part: nn.Module = self
            for name in names:
                part.add_module(name, nn.Module())
                part = part.get_submodule(name)
            part.body, part.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, classes, 1)

    @register_model(task="segmentation")
    def toy(*, classes: int = 1) -> Toy:
        return Toy(classes)

    model = toy()
    folder = zoo.save_model(nn.DataParallel(model), tmp_path)
    assert same_state(zoo.load_model(folder), model)
    widened = zoo.create_model(folder, head="new", classes=3)
    body = f"{'.'.join(names)}.body.weight"
    assert torch.equal(widened.state_dict()[body], model.state_dict()[body])


def test_lists_and_tuples_are_the_same_option(tmp_path):
    options = {"encoder": "test_resnet", "classes": 2}
    model = zoo.create_model("dynamic_unet", decoder_channels=[8] * 5, **options)
    folder = zoo.save_model(model, tmp_path)
    for widths in ([8] * 5, (8,) * 5):
        assert same_state(zoo.create_model(folder, decoder_channels=widths), model)
    with pytest.raises(OptionError, match="cannot be combined"):
        zoo.create_model(folder, decoder_channels=[8, 8, 8, 8, 9])


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


@pytest.mark.parametrize(("option", "size"), [("width", 20_000), ("depth", 10**9)])
def test_options_of_a_giant_are_refused_before_it_is_built(tmp_path, option, size):
    folder = zoo.save_model(tiny(), tmp_path)
    config = folder / "config.json"
    content = json.loads(config.read_text())
    content["options"][option] = size
    config.write_text(json.dumps(content))
    with pytest.raises(WeightsError, match="describe a network far larger than its weights"):
        zoo.load_model(folder)
