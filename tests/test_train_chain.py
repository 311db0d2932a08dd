"""Recipes that start from another recipe: what is trained, in which order, and what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_seg
import tiny_sr
import yaml

import zoo
from zoo.errors import OptionError, RecipeError, ZooError
from zoo.store.download import sha256_of
from zoo.train.chain import earlier_recipes, finished, train_chain
from zoo.train.run import load_plan

pytestmark = pytest.mark.usefixtures("on_the_cpu")

ONE_STAGE = {"sr": tiny_sr.TINY["stages"][1:], "seg": tiny_seg.TINY["stages"][:1]}


def write(folder: Path, name: str, task: str = "sr", start: str | None = None, **changes: Any):
    """A recipe file whose start is another file."""
    tiny = {"sr": tiny_sr.TINY, "seg": tiny_seg.TINY}[task]
    content = tiny | {"stages": ONE_STAGE[task]} | changes
    content["model"] = tiny["model"] | {"start": start}
    file = folder / f"{name}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content))
    return file


def three(folder: Path, task: str = "sr") -> Path:
    """A chain of three recipes, one of them in another folder; returns the last."""
    write(folder / "more", "first", task)
    write(folder, "second", task, "more/first.yaml")
    return write(folder, "third", task, "second.yaml")


def train(
    file: Path, training_images: dict[str, Path], runs: Path, task: str = "sr", **options: Any
):
    cache = runs / "cache" if task == "seg" else None
    train_chain(
        file, load_plan(file), training_images[task], runs / file.stem, cache=cache, **options
    )


def test_the_order_is_that_of_training(tmp_path: Path) -> None:
    assert [file.stem for file in earlier_recipes(three(tmp_path))] == ["first", "second"]
    assert earlier_recipes(write(tmp_path, "alone")) == []
    assert earlier_recipes(write(tmp_path, "named", start="srresnet_x2.psnr")) == []


@pytest.mark.parametrize("task", ["sr", "seg"])
def test_each_run_starts_from_the_one_before(
    tmp_path: Path, training_images: dict[str, Path], task: str
) -> None:
    runs = tmp_path / "runs"
    train(three(tmp_path, task), training_images, runs, task)
    assert not (runs / "first" / "start.json").exists()
    for earlier, later in (("first", "second"), ("second", "third")):
        assert finished(runs / earlier)
        weights = runs / earlier / "best" / "model.safetensors"
        begun = json.loads((runs / later / "start.json").read_text())
        assert begun["sha256"] == sha256_of(weights)
    assert zoo.load_model(runs / "third" / "best").config["architecture"]


def test_what_is_finished_stays_and_what_is_begun_goes_on(
    tmp_path: Path, training_images: dict[str, Path]
) -> None:
    runs, file = tmp_path / "runs", three(tmp_path)
    train(tmp_path / "second.yaml", training_images, runs, time_limit=0)  # ends inside the first
    assert not finished(runs / "first")
    assert not (runs / "second").exists()
    train(tmp_path / "second.yaml", training_images, runs)
    assert finished(runs / "first")
    before = {run: (runs / run / "last.pt").stat().st_mtime_ns for run in ("first", "second")}
    train(file, training_images, runs)
    after = {run: (runs / run / "last.pt").stat().st_mtime_ns for run in ("first", "second")}
    assert before == after


def test_a_start_of_ones_own_replaces_the_chain(
    tmp_path: Path, training_images: dict[str, Path], tiny_upscaler: Path
) -> None:
    runs = tmp_path / "runs"
    train(three(tmp_path), training_images, runs, start=str(tiny_upscaler))
    assert sorted(run.name for run in runs.iterdir()) == ["third"]
    begun = json.loads((runs / "third" / "start.json").read_text())
    assert begun["start"] == str(tiny_upscaler)


def test_all_runs_set_the_same_images_aside(
    tmp_path: Path, training_images: dict[str, Path]
) -> None:
    write(tmp_path, "first", held_out=1)
    train(
        write(tmp_path, "second", start="first.yaml", held_out=2),
        training_images,
        tmp_path / "runs",
    )
    kept = yaml.safe_load((tmp_path / "runs" / "first" / "recipe.yaml").read_text())
    assert kept["held_out"] == 2


FAULTS: dict[str, tuple[type[ZooError], str, dict[str, Any]]] = {
    "circle": (RecipeError, "starts, by way of others, from itself", {}),
    "missing": (RecipeError, "nowhere.yaml can't be read", {}),
    "of the other task": (RecipeError, "srresnet_x2 can't start from dynamic_unet, a segment", {}),
    "sought": (OptionError, "train that first, or give --start", {"find_lr": True}),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_chain_that_can_not_be_is_refused_before_any_work(
    tmp_path: Path, training_images: dict[str, Path], fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("images were read")

    monkeypatch.setattr("zoo.train.super_resolution.load_pair", read)
    write(tmp_path, "first", start="last.yaml" if fault == "circle" else None)
    write(tmp_path, "other", "seg")
    starts = {"missing": "nowhere.yaml", "of the other task": "other.yaml"}
    file = write(tmp_path, "last", start=starts.get(fault, "first.yaml"))
    kind, sentence, options = FAULTS[fault]
    with pytest.raises(kind, match=sentence):
        train(file, training_images, tmp_path / "runs", **options)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_goes_on_has_no_new_start(
    tmp_path: Path, training_images: dict[str, Path]
) -> None:
    file = write(tmp_path, "alone")
    train(file, training_images, tmp_path / "runs")
    with pytest.raises(OptionError, match="--start has no meaning here"):
        train(file, training_images, tmp_path / "runs", resume=True, start="srresnet_x2.psnr")
