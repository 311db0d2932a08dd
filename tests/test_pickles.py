"""Weights of other libraries come as pickles: code in them is never run, whatever loads them."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest
import torch
from torchvision import models

from zoo.errors import TrainingError, WeightsError
from zoo.seg.encoders.encoder import make_encoder
from zoo.sr.losses.feature_nets import lesson_net, resnet50_to_layer2
from zoo.train.checkpoints import load_checkpoint


class Trap:
    """Fails the test when it is unpickled."""

    def __reduce__(self):
        return pytest.fail, ("the pickle's code was run",)


def write_trap(file: Path, *, zipped: bool) -> None:
    """Writes a trap in torch's format, or as it was before torch 1.6."""
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": Trap()}, file, _use_new_zipfile_serialization=zipped)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("weights", "load"),
    [
        (models.VGG16_BN_Weights.IMAGENET1K_V1, lesson_net),
        (models.ResNet50_Weights.IMAGENET1K_V1, resnet50_to_layer2),
        (
            models.ResNet18_Weights.IMAGENET1K_V1,
            lambda: make_encoder("torchvision:resnet18", weights="default"),
        ),
    ],
    ids=["lesson_net", "resnet50_to_layer2", "torchvision encoder"],
)
def test_torchvisions_weights(weights, load, zipped, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)  # as if set_dir had not been called
    write_trap(tmp_path / "hub" / "checkpoints" / weights.url.rpartition("/")[2], zipped=zipped)
    with pytest.raises(WeightsError, match="could not be had from"):
        load()


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints(zipped, tmp_path):
    write_trap(tmp_path / "last.pt", zipped=zipped)
    with pytest.raises(TrainingError, match="can't be read"):
        load_checkpoint(tmp_path / "last.pt")


def test_the_trap_works(tmp_path):
    (tmp_path / "trap").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(pytest.fail.Exception, match="code was run"):
        pickle.loads((tmp_path / "trap").read_bytes())


ROOT = Path(__file__).parents[1]
SOURCES = [ROOT / "hubconf.py", *ROOT.glob("zoo/**/*.py"), *ROOT.glob("benchmarks/**/*.py")]


def dangers(source: str) -> list[str]:
    """Imports and calls by which a file's content could run."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            found += [name for name in names if name in {"pickle", "dill", "marshal", "shelve"}]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            if called == "torch.load" and given.get("weights_only") != "True":
                found.append(called)
            if called in {"eval", "exec", "yaml.load", "yaml.unsafe_load", "joblib.load"}:
                found.append(called)
            if given.get("allow_pickle", "False") != "False":
                found.append(called)
    return found


def test_no_code_of_ours_opens_a_pickle() -> None:
    assert len(SOURCES) > 150
    found = {str(file): dangers(file.read_text()) for file in SOURCES}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    ["import pickle", "from pickle import load", "torch.load(f)", "torch.load(f, weights_only=x)",
     "eval(text)", "yaml.load(f)", "np.load(f, allow_pickle=True)"],
)  # fmt: skip
def test_what_could_is_noticed(source: str) -> None:
    assert dangers(source)
