"""The command line on real files: what is written, what is said, and the exit status."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.cli import main
from zoo.download import sha256_of
from zoo.sr.srresnet import SRResNet
from zoo.statedict import save_weights
from zoo.upscaler import Upscaler
from zoo.weights import WeightsMeta


@dataclass
class Result:
    status: int
    stdout: str
    stderr: str


Run = Callable[..., Result]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        code = caught.value.code
        return Result(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small network that enlarges by 2."""
    torch.manual_seed(0)
    net = zoo.create_model("srresnet_x2", width=8, depth=1)
    return zoo.save_model(net, tmp_path_factory.mktemp("models") / "tiny")


def photograph(width: int = 12, height: int = 9, mode: str = "RGB", seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4), np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    """Ten good photographs and three broken files."""
    folder = tmp_path / "holiday"
    (folder / "day 2" / "[late]").mkdir(parents=True)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by a quarter
    photograph().save(folder / "a.jpg")
    photograph().save(folder / "turned.jpg", exif=turned)
    photograph(mode="L").save(folder / "grey.JPEG")
    photograph(mode="CMYK").save(folder / "cmyk.jpg")
    photograph(mode="RGBA").save(folder / "cut out.png")
    photograph(mode="P").save(folder / "palette.png")
    photograph(1, 1).save(folder / "one pixel.png")
    photograph().save(folder / "day 2" / "b.webp")
    photograph().save(folder / "day 2" / "[late]" / "c.tif")
    Image.fromarray(np.arange(0, 63000, 1000, np.uint16).reshape(7, 9)).save(folder / "deep.png")
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("This is no picture.")
    whole = io.BytesIO()
    photograph(60, 60).save(whole, "JPEG")
    (folder / "day 2" / "truncated.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (folder / "notes.txt").write_text("not meant")
    return folder


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_a_folder_with_broken_files(run: Run, model: Path, holiday: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "big"
    result = run("upscale", holiday, "-o", out, "-m", model)
    broken = {"empty.png", "text.png", "day 2/truncated.jpg"}
    assert result.status == 1
    assert files(out) == files(holiday) - broken - {"notes.txt"}
    lines = result.stderr.splitlines()
    assert len(lines) == 3
    for name in broken:
        assert sum(str(holiday / name) in line for line in lines) == 1
    assert result.stdout.startswith(f"10 of 13 enlarged into {out} in ")
    assert result.stdout.endswith(", 3 failed.\n")
    for name in files(out):
        source, large = Image.open(holiday / name), Image.open(out / name)
        assert large.format == source.format
        width, height = source.size
        turned = name == "turned.jpg"
        assert large.size == ((2 * height, 2 * width) if turned else (2 * width, 2 * height))
        assert (large.mode == source.mode) or source.mode in ("P", "CMYK")
        assert large.getexif().get(0x0112, 1) == 1


def test_the_result_is_that_of_the_library(run: Run, model: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    photograph(30, 25).save(source)
    options = ("--tile", "7", "--precision", "fp32", "--tta", "--device", "cpu")
    assert run("upscale", source, "-o", tmp_path / "out", "-m", model, *options).status == 0
    expected = zoo.upscale(source, str(model), precision="fp32", tta=True)
    with Image.open(tmp_path / "out" / "a.png") as large:
        np.testing.assert_array_equal(np.asarray(large), np.asarray(expected))


def test_one_file_into_a_named_file(run: Run, model: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "sub" / "b.JPG"
    photograph().save(source)
    assert run("upscale", source, "-o", target, "-m", model, "--quality", 80).status == 0
    assert Image.open(target).format == "JPEG"
    assert files(tmp_path) == {"a.png", "sub/b.JPG"}


def test_format_changes_the_suffix(run: Run, model: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.jpeg")
    photograph(mode="P").save(tmp_path / "b.gif")
    out = tmp_path / "out"
    assert (
        run("upscale", tmp_path / "a.jpeg", "-o", out, "-m", model, "--format", "tif").status == 0
    )
    assert run("upscale", tmp_path / "b.gif", "-o", out, "-m", model).status == 0
    assert files(out) == {"a.tif", "b.png"}


def test_existing_files_stay(run: Run, model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "a.png", tmp_path / "out"
    photograph().save(source)
    out.mkdir()
    (out / "a.png").write_text("dear")
    result = run("upscale", source, "-o", out, "-m", model)
    assert result.status == 1
    assert "--overwrite" in result.stderr
    assert (out / "a.png").read_text() == "dear"
    assert run("upscale", source, "-o", out, "-m", model, "--overwrite").status == 0
    assert Image.open(out / "a.png").size == (24, 18)


def test_a_result_never_replaces_its_source(run: Run, model: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    photograph().save(source)
    for out in (tmp_path, source):
        result = run("upscale", source, "-o", out, "-m", model, "--overwrite")
        assert result.status == 1
        assert "replace it" in result.stderr
        assert Image.open(source).size == (12, 9)


def test_two_results_never_share_a_name(run: Run, model: Path, tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        photograph().save(tmp_path / name)
    out = tmp_path / "out"
    arguments = ("upscale", tmp_path, "-o", out, "-m", model, "--format", "png", "--overwrite")
    result = run(*arguments)
    assert result.status == 1
    assert "would replace that of" in result.stderr
    assert files(out) == {"a.png"}


def test_earlier_results_are_no_input(run: Run, model: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    arguments = ("upscale", tmp_path, "-o", tmp_path / "big", "-m", model, "--overwrite")
    for _ in range(2):
        result = run(*arguments)
        assert result.status == 0
        assert result.stdout.startswith("1 of 1 enlarged")
    assert files(tmp_path) == {"a.png", "big/a.png"}


def test_folders_that_cannot_be_used(run: Run, model: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    (tmp_path / "file").write_text("in the way")
    for out in (tmp_path / "file", tmp_path / "file" / "big"):
        result = run("upscale", tmp_path / "a.png", "-o", out, "-m", model)
        assert result.status == 1
        assert "can't be made" in result.stderr
        assert len(result.stderr.splitlines()) == 1
    (tmp_path / "nothing").mkdir()
    result = run("upscale", tmp_path / "nothing", "-o", tmp_path / "big", "-m", model)
    assert result.status == 1
    assert "no image" in result.stderr
    result = run("upscale", tmp_path / "missing.png", "-o", tmp_path / "big", "-m", model)
    assert result.status == 1
    assert "no such file" in result.stderr


def test_max_pixels(run: Run, model: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    arguments = ("upscale", tmp_path / "a.png", "-o", tmp_path / "out", "-m", model)
    result = run(*arguments, "--max-pixels", 100)
    assert result.status == 1
    assert "limit of 100" in result.stderr
    assert run(*arguments, "--max-pixels", 108).status == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-m", "srresnet_x5"], "Did you mean 'srresnet_x"),
        (["--tile", "0"], "tile=0"),
        (["--tile", "big"], "--tile big"),
        (["--precision", "fp8"], "fp32, bf16"),
        (["--device", "toaster"], "toaster"),
        (["--quality", "0"], "--quality"),
        (["--format", "jpge"], "Did you mean 'jpeg'"),
        (["--frmat", "jpeg"], "--frmat"),
    ],
)
def test_wrong_calls_exit_with_2(
    run: Run, model: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    photograph().save(tmp_path / "a.png")
    options = [*([] if "-m" in arguments else ["-m", model]), *arguments]
    result = run("upscale", tmp_path / "a.png", "-o", tmp_path / "out", *options)
    assert result.status == 2
    assert sentence in result.stderr
    assert files(tmp_path) == {"a.png"}


def test_a_name_that_contradicts_the_format(run: Run, model: Path, tmp_path: Path) -> None:
    photograph().save(tmp_path / "a.png")
    start = ("upscale", tmp_path / "a.png", "-m", model, "-o")
    assert run(*start, tmp_path / "b.jpg", "--format", "png").status == 2
    assert run(*start, tmp_path / "b.doc").status == 2
    assert files(tmp_path) == {"a.png"}


def test_interruption_leaves_whole_files(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C arrives while the second result is being written."""
    for name in "abc":
        photograph().save(tmp_path / f"{name}.png")
    save, saved = Image.Image.save, []

    def interrupted(self: Image.Image, target: Path, **options: object) -> None:
        saved.append(target)
        if len(saved) == 2:
            Path(target).write_bytes(b"half of it")
            raise KeyboardInterrupt
        save(self, target, **options)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    result = run("upscale", tmp_path, "-o", tmp_path / "out", "-m", model)
    assert result.status == 130
    assert "1 of 3" in result.stdout
    assert "interrupted" in result.stdout
    assert files(tmp_path / "out") == {"a.png"}


def test_a_library_error_is_named_and_stops_nothing(
    run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        photograph(seed=ord(name)).save(tmp_path / f"{name}.png")
    enlarge, calls = Upscaler.picture, []

    def fails_once(self: Upscaler, *arguments: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to ...")
        return enlarge(self, *arguments)

    monkeypatch.setattr(Upscaler, "picture", fails_once)
    result = run("upscale", tmp_path, "-o", tmp_path / "out", "-m", model)
    assert result.status == 1
    assert result.stderr == (
        f"{tmp_path / 'a.png'}: there is not enough memory for it; try a smaller --tile.\n"
    )
    assert files(tmp_path / "out") == {"b.png"}


@pytest.fixture
def weights(own_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of weights "tiny_for_cli.one", registered and bundled."""

    @zoo.register_model(task="super-resolution")
    def tiny_for_cli() -> SRResNet:
        """A small net for tests."""
        return SRResNet(2, width=4, depth=1)

    bundle = tmp_path / "bundle"
    bundle.mkdir()
    file = bundle / "tiny.safetensors"
    save_weights(zoo.create_model("tiny_for_cli").state_dict(), file)
    monkeypatch.setattr("zoo.sources.PRETRAINED", bundle)
    monkeypatch.setattr("zoo.verify.PRETRAINED", bundle)
    meta = WeightsMeta(
        version=3,
        license="CC-BY-4.0",
        training_data="holiday photographs",
        training_data_terms="with attribution",
        recipe="benchmarks/recipes/tiny.yaml",
    )
    zoo.register_weights(
        zoo.Weights(
            name="tiny_for_cli.one",
            file=file.name,
            sha256=sha256_of(file),
            size=file.stat().st_size,
            meta=meta,
        ),
        default=True,
    )
    return file


def test_list(run: Run, weights: Path) -> None:
    result = run("list")
    assert result.status == 0
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines()}
    parameters = sum(p.numel() for p in zoo.create_model("tiny_for_cli").parameters())
    assert rows["tiny_for_cli"] == ["super-resolution", f"{parameters:,}", "one"]
    assert set(zoo.list_models()) < set(rows)
    pretrained = run("list", "tiny*", "--pretrained").stdout.splitlines()
    assert [line.split()[0] for line in pretrained[1:]] == ["tiny_for_cli"]


def test_info(run: Run, weights: Path) -> None:
    for name in ("tiny_for_cli", "tiny_for_cli.one"):
        text = run("info", name).stdout
        for part in ("A small net", "version 3", "CC-BY-4.0", "holiday photographs", "tiny.yaml"):
            assert part in text
        assert sha256_of(weights) in text
    assert "No weights" in run("info", "srresnet_lesson_x2").stdout
    assert run("info", "tiny_for_cil").status == 2


def test_verify(run: Run, weights: Path) -> None:
    result = run("verify", "tiny_for_cli")
    assert result.status == 0
    assert f"ok tiny_for_cli.one {sha256_of(weights)}" in result.stdout
    assert "tiny_for_cli.one" in run("verify").stdout
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    result = run("verify", "tiny_for_cli.one")
    assert result.status == 1
    assert "altered" in result.stdout


def test_verify_measures(run: Run, weights: Path, data: Path) -> None:
    result = run("verify", "tiny_for_cli", "--data", data, "--sets", "Set5")
    assert result.status == 0
    assert "Set5" in result.stdout


def test_verify_goes_on_without_the_data_of_one_task(run: Run, weights: Path) -> None:
    nowhere = weights.parent / "nowhere"
    assert run("verify", "tiny_for_cli", "--data", nowhere).status == 1
    result = run("verify", "--data", nowhere)
    assert result.status == 0
    assert "not measured: The set Set5 is in neither" in result.stdout


def test_demo_of_samples(run: Run, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    result = run("demo", "-o", tmp_path / "demo", "-m", model)
    assert result.status == 0
    assert str(tmp_path / "demo" / "comparison.png") in result.stdout
    names = {
        f"{name}_{kind}.png"
        for name in ("astronaut", "chelsea", "coffee")
        for kind in ("small", "x2")
    }
    assert files(tmp_path / "demo") == names | {"comparison.png"}
    small, large = (
        Image.open(tmp_path / "demo" / f"coffee_{kind}.png") for kind in ("small", "x2")
    )
    assert large.size == (2 * small.width, 2 * small.height)
    assert Image.open(tmp_path / "demo" / "comparison.png").width > 1000


def test_demo_of_own_pictures(run: Run, model: Path, tmp_path: Path) -> None:
    photograph(1, 1).save(tmp_path / "one.png")
    photograph(400, 30, "L").save(tmp_path / "grey.jpg")
    (tmp_path / "empty.png").touch()
    result = run("demo", tmp_path, "-o", tmp_path / "demo", "-m", model)
    assert result.status == 1
    assert "empty.png" in result.stderr
    assert files(tmp_path / "demo") == {"one.png", "grey.jpg", "comparison.png"}


def test_help_and_version(run: Run) -> None:
    assert zoo.__version__ in run("--version").stdout
    for command in ("list", "info", "upscale", "verify", "demo"):
        assert command in run("--help").stdout
        assert run(command, "--help").status == 0
