"""Result files: from which code, of which weights; and means of several models."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import carvana
import common
import encoders
import environment
import losses
import perceptual
import publish
import pytest
import speed.__main__
import stability
import super_resolution
import torch
import typer
import upsampling
from declare import declared, declaring
from mean import mean_of
from typer.testing import CliRunner

import zoo
from zoo.errors import OptionError, TrainingError, ZooError
from zoo.store.download import sha256_of
from zoo.store.state_dict import read_weights

FILES = (
    "zoo/model.py",
    "benchmarks/gallery.py",
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
        ("benchmarks/gallery.py", True),
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
    "speed": (speed.__main__.main, ["start"]),
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
    outcome = CliRunner().invoke(app, [*arguments, "--out", str(below)])
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
        mean_of([one, other])


# Everything in one command

ROOT = Path(__file__).parents[1]
NEW = {"sha256": "f" * 64, "size": 1_234_567, "recipe": "benchmarks/recipes/new.yaml"}


@pytest.mark.parametrize("name", [n for m in zoo.list_models() for n in zoo.list_weights(m)])
def test_a_declaration_is_brought_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Executed, it declares the new values; all else, and all other weights, stay."""
    file = declaring(name, ROOT / "zoo")
    before = file.read_text()
    made: dict[str, dict[str, zoo.Weights]] = {}
    for label, source in (("old", before), ("new", declared(before, name, **NEW))):
        found = made[label] = {}

        def register(weights: zoo.Weights, *, default: bool = False, to: Any = found) -> None:
            to[weights.name] = weights

        monkeypatch.setattr("zoo.registry.register_weights", register)
        monkeypatch.setattr("zoo.registry.register_model", lambda **_: lambda builder: builder)
        exec(compile(source, str(file), "exec"), {"__name__": file.stem})
    new, old = made["new"][name], made["old"][name]
    assert old == zoo.get_weights(name)
    assert (new.sha256, new.size, new.meta.recipe) == tuple(NEW.values())
    assert new.meta.version == old.meta.version + 1
    assert replace(new.meta, recipe=old.meta.recipe, version=old.meta.version) == old.meta
    others = [key for key in made["old"] if key != name]
    assert all(made["new"][key] == made["old"][key] for key in others)


def test_what_is_declared_nowhere_is_told() -> None:
    with pytest.raises(OptionError, match=r"a.b is declared nowhere: write register_weights"):
        declaring("a.b", ROOT / "zoo")
    with pytest.raises(OptionError, match="a.b is not declared here"):
        declared("Weights(name='a.c')", "a.b", **NEW)


@pytest.mark.parametrize(
    ("name", "scripts"),
    [
        (
            "srresnet_x2.psnr",
            ["super_resolution.py eval", "--degrade all", "perceptual.py", "gallery.py"],
        ),
        (
            "srresnet_x2.perceptual",
            ["super_resolution.py eval", "perceptual.py", "gallery.py"],
        ),
        ("unet34.carvana", ["carvana.py eval"]),
    ],
)
def test_a_run_is_published_in_order(
    tmp_path: Path, name: str, scripts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a copy of what it writes; the commands themselves are only noted."""
    source = declaring(name, ROOT / "zoo")
    copy = tmp_path / source.relative_to(ROOT)
    copy.parent.mkdir(parents=True)
    copy.write_text(source.read_text())
    for place in ("results", "pretrained"):
        (tmp_path / place).mkdir()
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(publish, "PRETRAINED", tmp_path / "pretrained")
    called: list[str] = []
    monkeypatch.setattr(publish, "call", lambda *words: called.append(" ".join(map(str, words))))
    net = zoo.load_model(name)
    run = zoo.save_model(net, tmp_path / "run" / "best").parent
    metric = "psnr_y" if hasattr(net, "scale") else "dice_pooled@512"
    (run / "history.json").write_text(json.dumps([{"step": 1, "lr": 1, metric: 3}]))
    recipe = tmp_path / "recipe.yaml"
    publish.run(run, name, recipe=recipe, data=tmp_path)

    assert f"git -C {tmp_path} add " in called[0]
    assert str(copy) in called[0]
    assert f"Publish {name}" in called[1]
    for script, words in zip([*scripts, "publish.py pages"], called[2:], strict=True):
        assert script in words
    published = copy.read_text()
    file = tmp_path / "pretrained" / f"{name}.safetensors"
    assert sha256_of(file) in published
    assert 'recipe="recipe.yaml"' in published
    assert (tmp_path / "results" / f"{name}.history.json").is_file()
    assert (tmp_path / "docs" / "curves" / f"{name}.svg").is_file()


def test_another_split_than_the_declared_one_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = zoo.load_model("unet34.carvana")
    net.split = {"folds": 5, "fold": 0}
    monkeypatch.setattr(publish, "RESULTS", tmp_path)  # so that changed code does not matter
    zoo.save_model(net, tmp_path / "best")
    with pytest.raises(OptionError, match="declare it with unet34.carvana first"):
        publish.run(
            tmp_path, "unet34.carvana", recipe=ROOT / "benchmarks/recipes/a.yaml", data=tmp_path
        )
    with pytest.raises(OptionError, match="in no folder of the repository"):
        publish.run(tmp_path, "unet34.carvana", recipe=tmp_path / "a.yaml", data=tmp_path)


def test_a_command_that_fails_ends_it() -> None:
    publish.call(sys.executable, "-c", "pass")
    with pytest.raises(OptionError, match="This failed, and all before it is done: .*exit"):
        publish.call(sys.executable, "-c", "exit(3)")
