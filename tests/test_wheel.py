"""The wheel and the sdist hold what they need and no more; installed, every command runs."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
import yaml
from commands import photograph
from generated_cars import generate_cars
from test_convert import ReferenceMSRResNet
from tiny_sr import TINY
from typer.main import get_group

import zoo
from zoo.cli import app

ROOT = Path(__file__).parents[1]
LEFT_OUT = {f"zoo/pretrained/{name}.carvana.safetensors" for name in ("simple_up34", "unet34")}
LIMIT = 100_000_000  # bytes: PyPI's

pytestmark = pytest.mark.slow


def build(folder: Path) -> dict[str, Path]:
    """The files that are published, by suffix."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return {file.suffix: file for file in folder.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("dist"))


def test_two_builds_are_one_file(built: dict[str, Path], tmp_path: Path) -> None:
    for suffix, file in build(tmp_path).items():
        assert file.read_bytes() == built[suffix].read_bytes()


def packaged() -> set[str]:
    """The files of the package that are published."""
    files = {file for file in (ROOT / "zoo").rglob("*") if file.is_file()}
    names = {file.relative_to(ROOT).as_posix() for file in files if file.suffix != ".pyc"}
    assert names > LEFT_OUT
    return names - LEFT_OUT


def test_the_wheel_holds_the_package_alone(built: dict[str, Path]) -> None:
    facts = f"zoo_models-{zoo.__version__}.dist-info"
    about = ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")
    with zipfile.ZipFile(built[".whl"]) as wheel:
        assert set(wheel.namelist()) == packaged() | {f"{facts}/{name}" for name in about}
        assert "zoo/py.typed" in wheel.namelist()
    assert built[".whl"].stat().st_size < LIMIT


def test_the_sdist_holds_what_builds_the_wheel(built: dict[str, Path]) -> None:
    about = {"LICENSE", "PKG-INFO", "pyproject.toml", "CITATION.cff", ".gitignore"}
    about |= {page.name for page in ROOT.glob("*.md")}
    with tarfile.open(built[".gz"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names == packaged() | about
    assert built[".gz"].stat().st_size < LIMIT


@pytest.fixture(scope="module")
def zoo_command(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`zoo` of the wheel in a fresh environment, which borrows the packages that zoo needs."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    install = ["install", "--quiet", "--no-index", "--no-deps", str(built[".whl"])]
    pip = [sys.executable, "-m", "pip", "--python", str(python), *install]
    subprocess.run(pip, check=True, capture_output=True)
    paths = {"base": str(place), "platbase": str(place)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin" / "zoo"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that has nothing to do with zoo, with a few files of a user."""
    folder = tmp_path_factory.mktemp("foreign")
    photograph(24, 20).save(folder / "photo.jpg")
    (folder / "photos").mkdir()
    for seed in range(4):
        photograph(44, 40, seed=seed).save(folder / "photos" / f"{seed}.png")
    generate_cars(folder / "cars")
    torch.save({"params": ReferenceMSRResNet(2).state_dict()}, folder / "msrresnet.pth")
    stages = [{"steps": 2, "batch": 2, "patch": 8, "lr": 1e-3}]
    (folder / "recipe.yaml").write_text(yaml.safe_dump(TINY | {"stages": stages}))
    return folder


# Each command once, in this order: some take what others wrote. Those not named show their help.
COMMANDS = {
    "list": ["--pretrained"],
    "info": [],
    "upscale": ["photo.jpg", "-o", "large"],
    "segment": ["photo.jpg", "-o", "cut", "--as", "cutout"],
    "compare": ["photo.jpg", "-o", "sheet.png"],
    "demo": ["photo.jpg", "-o", "demo"],
    "export": ["srresnet_x2.fast", "-o", "x2.onnx"],
    "convert": ["msrresnet.pth", "-o", "msrresnet"],
    "train": ["recipe.yaml", "--data", "photos", "--out", "run"],
    "eval": ["run/best", "--data", "photos", "--out", "figures.json"],
    "verify": [],
}
WRITTEN = [
    "large/photo.jpg",
    "cut/photo.png",
    "sheet.png",
    "demo/comparison.png",
    "x2.onnx",
    "msrresnet/model.safetensors",
    "run/best/model.safetensors",
    "figures.json",
]


def test_every_command_runs_in_a_fresh_environment(zoo_command: Path, foreign: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"HF_HUB_OFFLINE": "1", "ZOO_CACHE": str(foreign / "cache")}
    environment |= {"ACCELERATE_USE_CPU": "true"}

    def run(*words: str) -> str:
        done = subprocess.run(
            [zoo_command, *words], cwd=foreign, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"zoo {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    where = [zoo_command.with_name("python"), "-c", "import zoo; print(zoo.__file__)"]
    place = subprocess.run(where, cwd=foreign, env=environment, capture_output=True, text=True)
    assert place.stdout.startswith(str(zoo_command.parents[1]))
    said = {name: run(name, *words) for name, words in COMMANDS.items()}
    for name in set(get_group(app).commands) - set(COMMANDS):
        assert "Usage" in run(name, "--help")
    assert [name for name in WRITTEN if not (foreign / name).is_file()] == []
    assert "torch" in said["info"]
    assert "ok srresnet_x4.psnr" in said["verify"]
    assert "not here: unet34.carvana" in said["verify"]
    run("upscale", "photo.jpg", "-o", "again", "--model", "x2.onnx")
    run("upscale", "photo.jpg", "-o", "third", "--model", "./msrresnet")
