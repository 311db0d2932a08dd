"""ONNX files that zoo wrote run like the models that they came from, and hostile ones are told."""

from __future__ import annotations

import copy
import pickle
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from commands import files, photograph, run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import zoo
from zoo.errors import InputError, MissingDependencyError, WeightsError
from zoo.facts import read_facts
from zoo.graph import Sides
from zoo.inference.onnx_model import OnnxModel
from zoo.inference.tiling import split
from zoo.registry import get_model
from zoo.sources import absolute_name

TOLERANCE = 2e-5  # of values in [0, 1] and of the logits of random weights, absolute
LOGITS = 1e-4  # of trained weights, whose logits reach tens; `export` accepts as much


def pixels(height: int, width: int, channels: int, dtype: type = np.uint8) -> np.ndarray:
    levels = np.random.default_rng(0).random((height, width, channels))
    return (levels * np.iinfo(dtype).max).astype(dtype)


def exported(model: zoo.ZooModel, file: Path) -> Path:
    zoo.export_model(model, file)
    return file


def edited(file: Path, change: Callable[[onnx.ModelProto], object], name: str = "edited") -> Path:
    """A copy of a file with a change."""
    proto = onnx.load(file)
    change(proto)
    copy = file.with_name(f"{name}.onnx")
    onnx.save(proto, copy)
    return copy


def said(proto: onnx.ModelProto, **values: str | None) -> None:
    """Set entries of the metadata; None removes one."""
    for name, value in values.items():
        found = [entry for entry in proto.metadata_props if entry.key == name]
        for entry in found:
            proto.metadata_props.remove(entry)
        if value is not None:
            proto.metadata_props.add(key=name, value=value)


def fixed(proto: onnx.ModelProto, batch: int, height: int, width: int) -> None:
    """Fix the size that a graph takes, as tools for small devices do."""
    shape = proto.graph.input[0].type.tensor_type.shape.dim
    for axis, size in ((0, batch), (2, height), (3, width)):
        shape[axis].dim_value = size


@pytest.fixture(scope="session")
def doubler(tmp_path_factory: pytest.TempPathFactory) -> tuple[zoo.ZooModel, Path]:
    """A network that enlarges by 2, whose halo is 8, and its file."""
    torch.manual_seed(0)
    net = zoo.create_model("srresnet_x2", width=8, depth=2).eval()
    return net, exported(net, tmp_path_factory.mktemp("onnx") / "doubler.onnx")


@pytest.fixture(scope="session")
def finder(tmp_path_factory: pytest.TempPathFactory) -> tuple[zoo.ZooModel, Path]:
    """A network of three classes, trained at 64 pixels so to say, and its file."""
    torch.manual_seed(0)
    net = zoo.create_model("dynamic_unet", encoder="test_resnet", classes=3).eval()
    net.image_size = 64
    return net, exported(net, tmp_path_factory.mktemp("onnx") / "finder.onnx")


def test_every_model_gives_the_same_result(
    model_name: str, tiny_model: zoo.ZooModel, tmp_path: Path
) -> None:
    """By tensors, within the tolerance, in tiles and in one piece."""
    file = exported(tiny_model, tmp_path / "model.onnx")
    image = torch.rand(3, 75, 91, generator=torch.Generator().manual_seed(0))
    if get_model(model_name).task == "segmentation":
        theirs = zoo.Segmenter(tiny_model, size=70, device="cpu", precision="fp32", tta=True)
        ours = zoo.Segmenter(file, size=70, tta=True)
        array = pixels(75, 91, 3)
        difference = ours.logits(array) - theirs.logits(array)
        assert ours.channels == theirs.channels
    else:
        theirs = zoo.Upscaler(tiny_model, device="cpu", precision="fp32")
        ours = zoo.Upscaler(file, tile=40)
        assert (ours.scale, ours.model.halo) == (theirs.scale, tiny_model.halo)
        difference = ours.tensor(image) - theirs.tensor(image)
    assert float(difference.abs().max()) < TOLERANCE
    with torch.inference_mode():
        batch = torch.rand(2, 3, 70, 65)
        torch.testing.assert_close(ours.model(batch), tiny_model(batch), atol=TOLERANCE, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.list_models("*.*", pretrained=True))
def test_the_zoos_weights_give_the_same_result(name: str, tmp_path: Path) -> None:
    model = zoo.load_model(name)
    found = OnnxModel(exported(model, tmp_path / "model.onnx"))
    image = torch.rand(1, 3, 129, 100, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        tolerance = TOLERANCE if hasattr(found, "scale") else LOGITS
        torch.testing.assert_close(found(image), model(image), atol=tolerance, rtol=0)
    assert found.metadata["licence"] == zoo.get_weights(name).meta.license
    assert found.metadata["weights_sha256"] == zoo.get_weights(name).sha256


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_kind_of_picture(
    doubler: tuple[zoo.ZooModel, Path], channels: int, dtype: type
) -> None:
    net, file = doubler
    array = pixels(33, 47, channels, dtype)
    large = zoo.upscale(array, file, tile=16)
    expected = zoo.upscale(array, net, precision="fp32", device="cpu")
    assert large.dtype == dtype
    assert int(np.abs(large.astype(int) - expected).max()) <= 1 + 2 * (dtype == np.uint16)


def test_the_metadata_tell_how_to_run_it(
    doubler: tuple[zoo.ZooModel, Path], finder: tuple[zoo.ZooModel, Path]
) -> None:
    net, file = doubler
    found = OnnxModel(file)
    assert (found.scale, found.halo, found.peak_floats) == (2, net.halo, net.peak_floats)
    assert found.in_chans == 3
    assert (found.heights, found.widths) == (Sides(1, None), Sides(1, None))
    assert not hasattr(found, "classes")
    found = OnnxModel(finder[1])
    assert (found.classes, found.image_size) == (3, 64)
    assert not hasattr(found, "scale")
    assert zoo.Segmenter(finder[1]).size == 64
    assert re.fullmatch("[0-9a-f]{64}", found.metadata["tensors_sha256"])


def test_masks_are_the_models(finder: tuple[zoo.ZooModel, Path]) -> None:
    net, file = finder
    array = pixels(50, 80, 3)
    mask = zoo.segment(array, file)
    assert mask.shape == (50, 80)
    assert float((mask == zoo.segment(array, net, precision="fp32")).mean()) > 0.999


def test_commands(
    doubler: tuple[zoo.ZooModel, Path], finder: tuple[zoo.ZooModel, Path], tmp_path: Path
) -> None:
    photograph(40, 36).save(tmp_path / "a.png")
    out = tmp_path / "out"
    call = ("upscale", tmp_path / "a.png", "-o", out / "big.png", "-m", doubler[1])
    result = run(*call, "--tile", 16, "--memory", "1GB", "--tta")
    assert result.status == 0, result.stderr
    assert Image.open(out / "big.png").size == (80, 72)
    result = run("segment", tmp_path / "a.png", "-o", out / "mask.png", "-m", finder[1])
    assert result.status == 0, result.stderr
    assert Image.open(out / "mask.png").size == (40, 36)
    assert files(out) == {"big.png", "mask.png"}


def test_a_name_of_the_zoo_with_the_suffix_is_a_file(
    doubler: tuple[zoo.ZooModel, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "srresnet_x4.onnx").write_bytes(doubler[1].read_bytes())
    monkeypatch.chdir(tmp_path)
    assert zoo.Upscaler("srresnet_x4.onnx").scale == 2
    for name, message in (
        ("srresnet_x4.onnx", "is an ONNX file, which has no layers to load or train"),
        ("srresnet_x4.pt2", r"is a file for torch\.export\.load; of exported files zoo runs"),
        ("srresnet_x4.pth", "is a file of weights alone; `zoo convert` makes a model of some"),
    ):
        with pytest.raises(WeightsError, match=message):
            zoo.load_model(name)


def test_info_shows_what_a_file_says(doubler: tuple[zoo.ZooModel, Path]) -> None:
    text = "\x1b[31mmine[/red] [bold]\nand more"
    file = edited(doubler[1], lambda proto: said(proto, licence=text), "licensed")
    result = run("info", file)
    assert result.status == 0, result.stderr
    assert re.search(r"architecture +srresnet_x2 *\n", result.stdout)
    assert re.search(r"licence +\[31mmine\[/red\] \[bold\] and more *\n", result.stdout)
    assert "\x1b" not in result.stdout


def test_a_copy_opens_the_file_again(doubler: tuple[zoo.ZooModel, Path]) -> None:
    own = zoo.Upscaler(doubler[1])
    image = pixels(20, 24, 3)
    expected = own.array(image)
    for other in (pickle.loads(pickle.dumps(own)), copy.deepcopy(own)):
        assert np.array_equal(other.array(image), expected)


def test_threads_share_a_file(doubler: tuple[zoo.ZooModel, Path]) -> None:
    upscaler = zoo.Upscaler(doubler[1], tile=8)
    array = pixels(20, 22, 3)
    expected = upscaler.array(array)
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(upscaler.array(array))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(np.array_equal(result, expected) for result in results)


@settings(max_examples=200, deadline=None)
@given(
    size=st.integers(1, 90),
    tile=st.integers(1, 40),
    halo=st.integers(0, 9),
    least=st.integers(1, 60),
)
def test_tiles_read_as_much_as_a_network_needs(size: int, tile: int, halo: int, least: int) -> None:
    for span, plain in zip(
        split(size, tile, halo, least=least), split(size, tile, halo), strict=True
    ):
        assert (span.start, span.stop) == (plain.start, plain.stop)
        assert 0 <= span.low <= plain.low
        assert plain.high <= span.high <= size
        assert span.high - span.low >= min(least, size)
        assert span.high - span.low <= max(least, tile + 2 * halo)


@pytest.mark.parametrize("size", [(24, 24), (17, 40)])
def test_files_of_fixed_size_get_tiles_that_fit(
    doubler: tuple[zoo.ZooModel, Path], size: tuple[int, int]
) -> None:
    """With one image at a time; the result is that of the whole picture."""
    net, file = doubler
    name = f"fixed{size[0]}"
    file = edited(file, lambda proto: fixed(proto, 1, *size), name)
    array = pixels(60, 45, 4)
    expected = zoo.upscale(array, net, precision="fp32", device="cpu")
    large = zoo.upscale(array, file)
    assert int(np.abs(large.astype(int) - expected).max()) <= 1
    assert zoo.upscale(pixels(5, 6, 3), file).shape == (10, 12, 3)  # smaller than the file's size
    with torch.inference_mode():
        assert OnnxModel(file)(torch.rand(3, 3, 9, 10)).shape == (3, 3, 18, 20)
    with pytest.raises(InputError, match=r"takes heights \d+ to \d+, not 60; tile='auto' cuts"):
        zoo.upscale(array, file, tile=None)


def test_a_fixed_size_that_leaves_no_room_for_tiles(doubler: tuple[zoo.ZooModel, Path]) -> None:
    file = edited(doubler[1], lambda proto: fixed(proto, 1, 14, 14), "small")
    assert zoo.upscale(pixels(14, 9, 3), file).shape == (28, 18, 3)
    with pytest.raises(InputError, match="export the model without such bounds") as caught:
        zoo.upscale(pixels(15, 9, 3), file)
    assert "8 pixels around them, and this file takes heights 14 to 14" in str(caught.value)


def test_fixed_sizes_of_segmentation(finder: tuple[zoo.ZooModel, Path]) -> None:
    net, file = finder
    square = edited(file, lambda proto: fixed(proto, 1, 96, 96), "square")
    assert zoo.Segmenter(square).size == 96  # though it was trained at 64
    array = pixels(50, 80, 3)
    expected = zoo.Segmenter(net, size=96, precision="fp32", device="cpu").logits(array)
    found = zoo.Segmenter(square, tta=True).logits(array)
    assert found.shape == expected.shape
    with pytest.raises(InputError, match=r"size=64 is not among what \S+ takes: 96 to 96"):
        zoo.Segmenter(square, size=64)
    with pytest.raises(InputError, match="size=32 is not among"):
        zoo.Segmenter(edited(file, lambda proto: said(proto, heights="from 33 pixels")), size=32)
    oblong = edited(file, lambda proto: fixed(proto, 1, 96, 64), "oblong")
    with pytest.raises(InputError, match="pictures are segmented as squares"):
        zoo.Segmenter(oblong)


@pytest.mark.parametrize("task", ["upscale", "segment"])
def test_devices_and_precisions_that_a_file_does_not_have(
    task: str, doubler: tuple[zoo.ZooModel, Path], finder: tuple[zoo.ZooModel, Path], tmp_path: Path
) -> None:
    file = doubler[1] if task == "upscale" else finder[1]
    photograph().save(tmp_path / "a.png")
    call = (task, tmp_path / "a.png", "-o", tmp_path / "out.png", "-m", file)
    for option, message in (
        (("--device", "cuda"), "'cuda' is not for an ONNX file, which runs on the CPU"),
        (("--precision", "bf16"), "which computes in fp32; accepted are 'auto' and 'fp32'"),
        (("--precision", "fp8"), "is none of auto, fp32, bf16, fp16"),
    ):
        result = run(*call, *option)
        assert (result.status, len(result.stderr.splitlines())) == (2, 1)
        assert message in result.stderr
    assert run(*call, "--device", "cpu", "--precision", "fp32").status == 0
    model = OnnxModel(file)
    engine = zoo.Upscaler if task == "upscale" else zoo.Segmenter
    assert engine(model).model is model
    with pytest.raises(InputError, match="runs on the CPU"):
        engine(model, device="meta")


def test_files_for_the_other_task(
    doubler: tuple[zoo.ZooModel, Path], finder: tuple[zoo.ZooModel, Path]
) -> None:
    with pytest.raises(InputError, match=r"doubler\.onnx is no segmentation model: it enlarges"):
        zoo.Segmenter(doubler[1])
    with pytest.raises(
        InputError, match=r"finder\.onnx is no super-resolution model.* zoo\.segment"
    ):
        zoo.Upscaler(finder[1])


def test_without_onnx_runtime(
    doubler: tuple[zoo.ZooModel, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'zoo-models\[export\]'"):
        zoo.Upscaler(doubler[1])


def outside(proto: onnx.ModelProto) -> None:
    """Move the weights to a file that is not there."""
    for tensor in proto.graph.initializer:
        if len(tensor.raw_data) > 64:
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="gone.data")


def half(proto: onnx.ModelProto) -> None:
    """A whole graph of fp16."""
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT16, [1, 3, 8, 8])
    result = onnx.helper.make_tensor_value_info("result", onnx.TensorProto.FLOAT16, [1, 3, 8, 8])
    node = onnx.helper.make_node("Identity", ["image"], ["result"])
    proto.graph.CopyFrom(onnx.helper.make_graph([node], "half", [image], [result]))


def other_inputs(proto: onnx.ModelProto) -> None:
    proto.graph.input.add().CopyFrom(proto.graph.input[0])
    proto.graph.input[1].name = "second"


HOSTILE: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "no metadata": (lambda p: p.ClearField("metadata_props"), "it has none of zoo's metadata"),
    "another task": (lambda p: said(p, task="detection"), "it has none of zoo's metadata"),
    "another range": (lambda p: said(p, range="[0, 255]"), r"its range is not \[0, 1\]"),
    "a word": (lambda p: said(p, halo="many"), "its halo is no whole number from 0 to 10000"),
    "negative": (lambda p: said(p, halo="-1"), "its halo is no whole number"),
    "huge": (lambda p: said(p, scale="9" * 5000), "its scale is no whole number from 1 to 16"),
    "other digits": (lambda p: said(p, scale="٢"), "its scale is no whole number"),
    "zero": (lambda p: said(p, peak_floats="0"), "its peak_floats is no whole number"),
    "no scale": (lambda p: said(p, scale=None), "its scale does not go with its task"),
    "no channels": (lambda p: said(p, channels=None), "its metadata name no channels"),
    "other channels": (lambda p: said(p, channels="4"), "takes 3 channels and its metadata say 4"),
    "no sizes": (lambda p: said(p, heights=None), "its sizes are neither 'from A pixels' nor"),
    "backwards": (lambda p: said(p, widths="9 to 3"), "its sizes are no range"),
    "sizes at odds": (
        lambda p: (said(p, heights="from 99 pixels"), fixed(p, 1, 24, 24)),
        "its size of 24 is not among those of its metadata",
    ),
    "batches": (lambda p: fixed(p, 4, 24, 24), "it takes batches of 4 images only"),
    "inputs": (other_inputs, "other inputs and outputs than one image"),
    "fp16": (half, "its input and output are not float32"),
    "external data": (
        outside,
        r"is not a whole ONNX file \(the second file, which holds its weights, is missing",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_files_that_are_refused(
    case: str, doubler: tuple[zoo.ZooModel, Path], tmp_path: Path
) -> None:
    change, message = HOSTILE[case]
    file = edited(doubler[1], change, "hostile")
    photograph().save(tmp_path / "a.png")
    result = run("upscale", tmp_path / "a.png", "-o", tmp_path / "out.png", "-m", file)
    assert (result.status, len(result.stderr.splitlines())) == (1, 1)
    assert re.search(message, result.stderr)
    assert "zoo export" in result.stderr
    assert files(tmp_path) == {"a.png"}


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "half", "no UTF-8", "folder"])
def test_files_that_are_none(kind: str, doubler: tuple[zoo.ZooModel, Path], tmp_path: Path) -> None:
    file = tmp_path / "x.onnx"
    content = doubler[1].read_bytes()
    if kind == "folder":
        file.mkdir()
    elif kind != "missing":
        contents = {
            "text": b"hello\n",
            "empty": b"",
            "half": content[: len(content) // 2],
            "no UTF-8": content.replace(b"peak_floats", b"peak_fl\xffats"),
        }
        file.write_bytes(contents[kind])
    with pytest.raises(WeightsError) as caught:
        zoo.upscale(pixels(4, 4, 3), file)
    message = r"There is no ONNX file|is not a whole ONNX file \(|is none of the ONNX files that"
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)


def test_metadata_that_lie_about_the_result(doubler: tuple[zoo.ZooModel, Path]) -> None:
    file = edited(doubler[1], lambda proto: said(proto, scale="3"), "lying")
    with pytest.raises(
        WeightsError, match=r"not what its metadata say: its result is \[1, 3, 8, 8\]"
    ):
        zoo.upscale(pixels(4, 4, 3), file)


@given(
    st.dictionaries(st.sampled_from(["task", "scale", "channels", "range", "heights"]), st.text())
)
def test_no_metadata_make_a_reader_fail_in_another_way(metadata: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="it"):
        read_facts(metadata)


def test_other_processes_find_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute_name("net.onnx") == str(tmp_path / "net.onnx")
    assert absolute_name("srresnet_x4.psnr") == "srresnet_x4.psnr"
