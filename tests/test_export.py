"""Models as files for other programs: the same results, honest metadata, nothing half-written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from commands import files, run
from torch import Tensor, nn

import zoo
from zoo.errors import ExportError, InputError, MissingDependencyError
from zoo.export import export, export_model
from zoo.facts import facts
from zoo.registry import get_model
from zoo.sr.networks.srresnet import SRResNet

onnxruntime = pytest.importorskip("onnxruntime")  # of the extra `export`; `make test` installs it


def opened(file: Path) -> Callable[[Tensor], Tensor]:
    if file.suffix == ".pt2":
        return torch.export.load(file).module()
    session = onnxruntime.InferenceSession(file)
    return lambda x: torch.from_numpy(session.run(["result"], {"image": x.numpy()})[0])


@pytest.mark.parametrize("suffix", ["pt2", pytest.param("onnx", marks=pytest.mark.slow)])
def test_it_computes_the_same_for_any_size(
    model_name: str, tiny_model: zoo.ZooModel, suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / f"model.{suffix}"
    assert export_model(tiny_model, file) < 1e-4
    compute = opened(file)
    least = 32 if suffix == "onnx" else 33
    smallest = (1, 1) if get_model(model_name).task == "super-resolution" else (least, least)
    for batch, size in [(1, smallest), (3, (33, 71)), (2, (64, 96)), (1, (97, 64))]:
        x = torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            torch.testing.assert_close(compute(x), tiny_model(x), atol=1e-5, rtol=1e-4)


def test_the_model_stays_as_it_was(tmp_path: Path) -> None:
    model = zoo.create_model("srresnet_lesson_x2").train()  # with batch norm
    model = model.to(torch.bfloat16, memory_format=torch.channels_last)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    export_model(nn.DataParallel(model), tmp_path / "model.pt2")
    assert model.training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert opened(tmp_path / "model.pt2")(torch.rand(1, 3, 5, 6)).dtype == torch.float32


def test_command_line(tiny_upscaler: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    result = run("export", tiny_upscaler, "-o", file)
    assert result.status == 0, result.stderr
    assert re.search(r"model\.onnx \(0\.\d MB\); results differ by \S+ at most", result.stdout)
    session = onnxruntime.InferenceSession(file)
    axes = [(each.name, each.shape) for each in (*session.get_inputs(), *session.get_outputs())]
    assert axes == [
        ("image", ["batch", 3, "height", "width"]),
        ("result", ["batch", 3, "2*height", "2*width"]),
    ]
    said = session.get_modelmeta().custom_metadata_map
    assert said["architecture"] == "srresnet_x2"
    assert json.loads(said["options"])["width"] == 8
    assert str(tmp_path.parent) not in str(said)  # no paths of this machine
    x = torch.rand(2, 3, 17, 9)
    with torch.no_grad():
        expected = zoo.load_model(tiny_upscaler)(x)
    torch.testing.assert_close(opened(file)(x), expected, atol=1e-5, rtol=1e-4)
    assert files(tmp_path) == {"model.onnx"}

    content = file.read_bytes()
    again = run("export", tiny_upscaler, "-o", file)
    assert again.status == 1
    assert "the file exists" in again.stderr
    assert file.read_bytes() == content


def test_a_file_is_replaced_where_that_is_asked_for(tiny_upscaler: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.pt2"
    file.write_text("old")
    assert run("export", tiny_upscaler, "-o", file, "--overwrite").status == 0
    assert opened(file)(torch.rand(1, 3, 5, 6)).shape == (1, 3, 10, 12)


@pytest.mark.parametrize("suffix", ["pt2", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_file_does_not_tell_where_the_code_is(
    suffix: str, tiny_model: zoo.ZooModel, tmp_path: Path
) -> None:
    zoo.export_model(tiny_model, tmp_path / f"model.{suffix}")
    content = (tmp_path / f"model.{suffix}").read_bytes()
    for package in (zoo, torch):
        assert str(Path(package.__file__).parent).encode() not in content


def test_the_facts_say_what_goes_in_and_what_comes_out() -> None:
    enlarging = facts(zoo.create_model("srresnet_x4", width=8, depth=1))
    assert enlarging["input"] == "image: float32 [batch, 3, height, width], RGB in [0, 1]"
    assert "[batch, 3, 4·height, 4·width]" in enlarging["output"]
    grey = facts(zoo.create_model("dynamic_unet", encoder="test_resnet", in_chans=1))
    assert grey["input"] == "image: float32 [batch, 1, height, width], in [0, 1]"
    assert "logits [batch, classes, height, width]" in grey["output"]
    assert not {"weights", "licence"} & (enlarging.keys() | grey.keys())


def test_shipped_weights_name_themselves(tmp_path: Path) -> None:
    assert run("export", "srresnet_x2", "-o", tmp_path / "x2.pt2").status == 0
    extra = {"zoo.json": ""}
    torch.export.load(tmp_path / "x2.pt2", extra_files=extra)
    said = json.loads(extra["zoo.json"])
    weights = zoo.get_weights("srresnet_x2.psnr")
    assert said["weights"] == weights.name
    assert said["weights_sha256"] == weights.sha256
    assert said["licence"] == weights.meta.license


@pytest.mark.parametrize(
    ("name", "said", "status"),
    [
        ("model.onx", r"must end in \.onnx or \.pt2\. Did you mean '\.onnx'\?", 2),
        ("model", r"must end in \.onnx or \.pt2\.", 2),
        ("nowhere/model.pt2", r"the folder \S+nowhere does not exist", 1),
        ("folder.pt2", r"it is a folder", 1),
    ],
)
def test_places_that_are_refused(
    tiny_upscaler: Path, name: str, said: str, status: int, tmp_path: Path
) -> None:
    (tmp_path / "folder.pt2").mkdir()
    result = run("export", tiny_upscaler, "-o", tmp_path / name)
    assert result.status == status
    assert re.search(said, result.stderr)
    assert files(tmp_path) == set()


def test_another_module_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes a model that create_model built, not a Conv2d"):
        export_model(nn.Conv2d(3, 3, 3), tmp_path / "model.pt2")


def test_without_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"onnx": object(), "onnxscript": None, "onnxruntime": None}
    monkeypatch.setattr("importlib.util.find_spec", found.get)
    model = zoo.create_model("srresnet_x2", width=8, depth=1)
    message = r"ONNX needs onnxscript, onnxruntime: pip install 'zoo-models\[export\]'"
    with pytest.raises(MissingDependencyError, match=message):
        export_model(model, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda net: net.double(), True),
        (lambda net: net.to(memory_format=torch.channels_last), True),
        (lambda net: net.half(), False),  # the file's mean and std are fp32
        (lambda net: net.head.weight.data.mul_(0.9), False),
        (lambda net: net.mean.add_(1e-4), False),  # a buffer
        (lambda net: net.load_state_dict(zoo.create_model("srresnet_x2").state_dict()), False),
        (lambda net: setattr(net, "fuse", nn.Identity()), False),
    ],
)
def test_only_what_holds_the_shipped_weights_says_so(
    change: Callable[[zoo.ZooModel], object], named: bool
) -> None:
    net = zoo.create_model("srresnet_x2.psnr")
    change(net)
    assert (net.source == "srresnet_x2.psnr") == named
    said = facts(net)
    assert ({"weights", "weights_sha256", "licence"} <= said.keys()) == named
    assert named or not {"weights", "weights_sha256", "licence"} & said.keys()


def test_a_name_alone_claims_nothing() -> None:
    net = zoo.create_model("srresnet_x2")
    net.source = "srresnet_x2.psnr"  # a folder of that name, say
    assert "licence" not in facts(net)


class Branching(SRResNet):
    """Takes another path for images of other sizes, which a graph can't."""

    def forward(self, x: Tensor) -> Tensor:
        large = super().forward(x)
        height, width = x.shape[2:]
        return large if height <= 300 and width >= 20 else 2 * large


@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_a_bound_is_found_to_the_pixel_and_told(
    suffix: str, tmp_path: Path, own_registry: None
) -> None:
    @zoo.register_model(task="super-resolution")
    def odd() -> SRResNet:
        return Branching(2, width=4, depth=1)

    zoo.save_model(odd(), tmp_path / "odd")
    file = tmp_path / f"model.{suffix}"
    result = run("export", tmp_path / "odd", "-o", file)
    assert result.status == 0, result.stderr
    assert "takes heights 1 to 300 and widths from 20 pixels" in " ".join(result.stdout.split())
    if suffix == "onnx":
        said = onnxruntime.InferenceSession(file).get_modelmeta().custom_metadata_map
    else:
        extra = {"zoo.json": ""}
        compute = torch.export.load(file, extra_files=extra).module()
        said = json.loads(extra["zoo.json"])
        for size, fits in (((300, 20), True), ((301, 20), False), ((300, 19), False)):
            try:
                assert compute(torch.rand(1, 3, *size)).shape[2] == 2 * size[0]
            except (AssertionError, RuntimeError):  # the second before torch 2.9
                assert not fits
            else:
                assert fits
    assert (said["heights"], said["widths"]) == ("1 to 300", "from 20 pixels")


@pytest.mark.parametrize(
    ("suffix", "place"),
    [
        ("onnx", "torch.export.export"),
        ("onnx", "torch.onnx.export"),
        ("onnx", "onnxruntime.InferenceSession"),
        ("pt2", "torch.export.export"),
        ("pt2", "torch.export.save"),
        ("pt2", "torch.export.load"),
    ],
)
def test_every_error_of_an_exporter_is_a_sentence(
    suffix: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        parts = list(tmp_path.glob(".*.part.*"))
        try:
            raise KeyError(f"\x1b[31mno such node\x1b[0m in {parts}\nin line 3")
        except KeyError as error:
            raise AssertionError("step 2 of 3 failed") from error

    monkeypatch.setattr(place, fail)
    file = tmp_path / f"model.{suffix}"
    with pytest.raises(ExportError) as caught:
        export_model(zoo.create_model("srresnet_x2", width=4, depth=1), file)
    said = str(caught.value)
    assert said.startswith(f"{file}: ")
    assert "no such node" in said
    assert said.endswith("zoo.save_model keeps the model for Python.")
    assert not any(part in said for part in ("\n", "\x1b", ".part", "line 3"))
    assert files(tmp_path) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoder", "suffix"),
    [
        ("mobilevit_xxs", "pt2"),
        ("mobilevit_xxs", "onnx"),
        ("levit_128s", "pt2"),
        ("hiera_tiny_224", "onnx"),
        ("maxvit_pico_rw_256", "pt2"),
    ],
)
def test_encoders_are_exported_for_their_sizes_or_refused(
    encoder: str, suffix: str, tmp_path: Path
) -> None:
    net = zoo.create_model("dynamic_unet", encoder=encoder).eval()
    file = tmp_path / f"net.{suffix}"
    try:
        done = export(net, file)
    except ExportError as error:
        said = str(error)
    else:
        said = ""
    if said:
        assert re.search(r"resnet34 work, and zoo\.save_model", said)
        assert not re.search(r"\n|\x1b|\.part", said)
        return
    compute = opened(file)
    for side in (32, 33, 64, 65, 255, 256, 257, 300, 513):
        if side == done.heights.nearest(side) == done.widths.nearest(side):
            x = torch.rand(1, 3, side, side)
            with torch.no_grad():
                torch.testing.assert_close(compute(x), net(x), atol=1e-4, rtol=1e-3)


class Noisy(SRResNet):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + torch.rand_like(x[:, :1, :1, :1])


class Undecided(SRResNet):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Noisy, "its results differ from the model's by"), (Undecided, "can't be expressed")],
)
@pytest.mark.parametrize("suffix", ["onnx", "pt2"])
def test_what_no_file_can_hold(
    kind: type[SRResNet], said: str, suffix: str, tmp_path: Path, own_registry: None
) -> None:
    @zoo.register_model(task="super-resolution")
    def odd() -> SRResNet:
        return kind(2, width=4, depth=1)

    with pytest.raises(ExportError, match=said) as caught:
        export_model(odd(), tmp_path / f"model.{suffix}")
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == set()


class Void(SRResNet):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * torch.nan


def test_results_that_are_no_numbers_are_refused(tmp_path: Path, own_registry: None) -> None:
    @zoo.register_model(task="super-resolution")
    def odd() -> SRResNet:
        return Void(2, width=4, depth=1)

    with pytest.raises(ExportError, match="differ from the model's by nan|Out of range float"):
        export_model(odd(), tmp_path / "model.pt2")
    assert files(tmp_path) == set()
