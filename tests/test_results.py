"""Result files: from which code, of which weights; and means of several models."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import carvana
import common
import encoders
import environment
import losses
import perceptual
import publish
import pytest
import speed
import stability
import super_resolution
import torch
import typer
import upsampling
from typer.testing import CliRunner

import zoo
from zoo.errors import OptionError, TrainingError, ZooError
from zoo.store.state_dict import read_weights

FILES = (
    "zoo/model.py",
    "benchmarks/speed.py",
    "benchmarks/recipes/a.yaml",
    "pyproject.toml",
    "benchmarks/results/a.json",
    "README.md",
    "docs/a.png",
    "zoo/pretrained/index.json",
)
NOTHING = {"weights_sha256": None, "start_sha256": None}


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("changed", "dirty"),
    [
        (None, False),
        ("zoo/model.py", True),
        ("benchmarks/speed.py", True),
        ("benchmarks/recipes/a.yaml", True),
        ("pyproject.toml", True),
        ("benchmarks/results/a.json", False),  # one measurement after another
        ("README.md", False),
        ("docs/a.png", False),
        ("zoo/pretrained/index.json", False),
    ],
)
def test_a_changed_checkout_is_dirty_but_for_what_measuring_writes(
    tmp_path: Path, changed: str | None, dirty: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in FILES:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")
    git(tmp_path, "init")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-m", "a")
    if changed:
        (tmp_path / changed).write_text("2")
    monkeypatch.setattr(environment, "_ROOT", tmp_path)
    found = environment.commit()
    assert found is not None
    assert found.endswith("-dirty") == dirty
    assert len(found.removesuffix("-dirty")) == 40


def test_published_results_come_from_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = {"model": "a", **NOTHING}
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    for state, refused in (("0" * 40 + "-dirty", True), ("0" * 40, False), (None, False)):
        monkeypatch.setattr(common, "commit", lambda state=state: state)
        if refused:
            with pytest.raises(OptionError, match="in no commit.*--dirty"):
                common.write_result(result, tmp_path / "results")
            assert not (tmp_path / "results").exists()
            common.write_result(result, tmp_path / "elsewhere")
            common.write_result(result, tmp_path / "results", dirty=True)
        else:
            common.write_result(result, tmp_path / "results")
    with pytest.raises(ValueError, match="a result has start_sha256"):
        common.write_result({"model": "a", "weights_sha256": None}, tmp_path)


SCRIPTS = {
    "eval sr": (super_resolution.app, ["eval", "bicubic", "--data", "none"]),
    "eval seg": (carvana.app, ["eval", "unet34", "--data", "none"]),
    "losses": (losses.main, ["--data", "none"]),
    "stability": (stability.main, ["--data", "none"]),
    "upsampling": (upsampling.main, ["--data", "none"]),
    "perceptual": (perceptual.main, ["srresnet_x2", "--data", "none"]),
    "encoders": (encoders.main, []),
    "speed": (speed.benchmark, []),
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_refuses_before_it_measures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that can't be written to, and, for published results, changed code."""
    app, arguments = SCRIPTS[name]
    if not isinstance(app, typer.Typer):
        main, app = app, typer.Typer()
        app.command()(main)
    (tmp_path / "file").touch()
    below = tmp_path / "file" / "below"
    out = below / "speed.json" if name == "speed" else below
    outcome = CliRunner().invoke(app, [*arguments, "--out", str(out)])
    assert isinstance(outcome.exception, TrainingError)
    assert "is a file" in str(outcome.exception)
    monkeypatch.setattr(common, "commit", lambda: "0" * 40 + "-dirty")
    outcome = CliRunner().invoke(app, arguments)
    assert isinstance(outcome.exception, OptionError), outcome.output
    assert "--dirty" in str(outcome.exception)


# Where it began


def test_a_run_knows_the_weights_that_it_began_with(tmp_path: Path) -> None:
    (tmp_path / "run" / "best").mkdir(parents=True)
    assert common.start_sha256(str(tmp_path / "run" / "best")) is None
    (tmp_path / "run" / "start.json").write_text(json.dumps({"start": "a.b", "sha256": "c"}))
    assert common.start_sha256(str(tmp_path / "run" / "best")) == "c"
    assert common.start_sha256("none.none") is None


# Means


def saved(folder: Path, *, seed: int, **options: object) -> str:
    torch.manual_seed(seed)
    net = zoo.create_model("dynamic_unet", **{"encoder": "test_resnet", **options})
    net.train()(torch.rand(2, 3, 32, 32) * (seed + 1))  # moves the statistics
    for _ in range(seed):
        net(torch.rand(2, 3, 32, 32))
    return str(zoo.save_model(net, folder / str(seed) / "best").parent)


@pytest.mark.parametrize("count", [2, 3])
def test_a_mean_takes_in_the_statistics(
    tmp_path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("RESULTS", "PRETRAINED", "ROOT"):
        monkeypatch.setattr(publish, place, tmp_path)
    runs = [Path(saved(tmp_path, seed=seed)) for seed in range(count)]
    (runs[0] / "history.json").write_text('[{"step": 1, "lr": 1, "psnr_y": 3}]')
    publish.weights(runs[0], "net.tag", mean_with=[str(run / "best") for run in runs[1:]])
    mean = read_weights(tmp_path / "net.tag.safetensors")
    states = [read_weights(run / "best" / "model.safetensors") for run in runs]
    assert mean.keys() == states[0].keys()
    for key, value in mean.items():
        if value.is_floating_point():
            expected = torch.stack([state[key] for state in states]).mean(0)
            torch.testing.assert_close(value.float(), expected, rtol=1e-3, atol=1e-3)
        else:
            assert torch.equal(value, states[0][key]), key
    statistics = [key for key in mean if key.endswith("running_var")]
    assert statistics
    for key in statistics:
        assert mean[key].dtype == torch.float32
        torch.testing.assert_close(mean[key], torch.stack([s[key] for s in states]).mean(0))


@pytest.mark.parametrize(
    "options",
    [
        {"classes": 2},
        {"encoder": "test_convnext"},
        {"in_chans": 1},
        {"decoder_channels": (8, 8, 8, 8, 8)},
    ],
    ids=str,
)
def test_a_mean_of_different_networks_is_refused(
    tmp_path: Path, options: dict[str, object]
) -> None:
    one = zoo.load_model(saved(tmp_path / "a", seed=0) + "/best")
    torch.manual_seed(0)
    net = zoo.create_model("dynamic_unet", **{"encoder": "test_resnet", **options})
    other = zoo.load_model(zoo.save_model(net, tmp_path / "other"))
    with pytest.raises(ZooError, match="can't be averaged with .*: it is another network"):
        publish.mean_of([one, other])
