"""Published figures come from result files: nobody edits one by hand."""

from __future__ import annotations

import inspect
import json
from itertools import pairwise
from pathlib import Path

import card
import cost
import degradations
import findings
import gallery
import losses
import numpy as np
import publish
import pytest
import tables
import torch
from findings import psnr
from PIL import Image

import zoo
from zoo import cli
from zoo.registry import PRETRAINED
from zoo.sr.degradations.named import NAMED
from zoo.store.state_dict import read_weights
from zoo.train.chain import is_recipe

ROOT = Path(__file__).parents[1]


def test_the_index_is_what_the_results_say() -> None:
    assert json.loads((PRETRAINED / "index.json").read_text()) == publish.index()


def test_the_pages_are_what_the_results_say() -> None:
    for file, text in publish.written_pages().items():
        assert file.read_text() == text, f"{file.name} is stale: run benchmarks/publish.py pages"


def test_studies_measured_the_weights_that_ship() -> None:
    for name in ("srresnet_x2.perceptual_study", "srresnet_x4.perceptual_study"):
        measured = publish.result(name, publish.RESULTS)["weights_sha256"]
        shipped = {weights: zoo.get_weights(weights).sha256 for weights in measured}
        assert measured == shipped, f"{name} is stale: run benchmarks/perceptual.py again"


@pytest.mark.parametrize("name", [
    name for name in tables.shipped("super-resolution")
    if zoo.get_weights(name).tag in publish.DEGRADED_TAGS
])  # fmt: skip
def test_degraded_images_were_measured_with_the_weights_that_ship(name: str) -> None:
    measured = publish.result(f"{name}_degraded", publish.RESULTS)
    assert measured["weights_sha256"] == zoo.get_weights(name).sha256
    assert set(measured["degraded"]) == set(NAMED)
    assert all(set(kind["sets"]) == set(tables.SR_SETS) for kind in measured["degraded"].values())
    figure = f"{measured['degraded']['jpeg40']['sets']['B100']['psnr_y']:.2f}"
    assert figure in (ROOT / "docs" / "figures.md").read_text()
    section = (ROOT / "MODEL_CARD.md").read_text().split(f"### {name}\n")[1].split("\n### ")[0]
    assert f"| jpeg40 | {figure} |" in section
    architecture = zoo.get_weights(name).architecture
    clean = f"{architecture}.psnr"
    shown = clean != name and clean in zoo.list_weights(architecture)
    beside = "bicubic PSNR-Y (dB) |" + (f" `{clean}` PSNR-Y (dB) |" if shown else "")
    assert f"distance in ResNet50 | {beside}\n" in section


def test_the_command_takes_the_weights_with_the_highest_mean() -> None:
    """Over clean and degraded images of all sets."""

    def mean(name: str) -> float:
        clean = publish.result(name, publish.RESULTS)["sets"]
        kinds = publish.result(f"{name}_degraded", publish.RESULTS)["degraded"].values()
        rows = [sets[title] for sets in (clean, *(k["sets"] for k in kinds)) for title in clean]
        return sum(row["psnr_y"] for row in rows) / len(rows)

    means = {way: mean(f"srresnet_x4.{way}") for way in ("psnr", "photo", "auto", "strength_0.5")}
    best = max(means, key=lambda way: means[way])
    assert inspect.signature(cli.upscale).parameters["model"].default == f"srresnet_x4.{best}"


@pytest.mark.parametrize("way", ["auto", "strength_0.5"])
def test_choices_and_blends_were_measured_with_the_weights_that_ship(way: str) -> None:
    for suffix in ("", "_degraded"):
        measured = publish.result(f"srresnet_x4.{way}{suffix}", publish.RESULTS)
        shipped = {name: zoo.get_weights(name).sha256 for name in measured["weights_sha256"]}
        assert measured["weights_sha256"] == shipped
    assert f"| `srresnet_x4.{way}` |" in (ROOT / "docs" / "figures.md").read_text()


@pytest.mark.parametrize("sha256", [None, "0" * 64, "current"])
def test_a_loss_study_that_began_with_other_weights_says_so(sha256: str | None) -> None:
    """Nothing in a page hides that the weights were replaced since."""
    study = publish.result("losses", publish.RESULTS)
    if sha256 == "current":
        sha256 = zoo.get_weights(losses.START).sha256
        assert "earlier version" not in findings.losses({**study, "start_sha256": sha256})
    else:
        text = findings.losses({**study, "start_sha256": sha256})
        assert f"began with an earlier version of `{losses.START}`" in text


@pytest.mark.parametrize("name", [n for m in zoo.list_models() for n in zoo.list_weights(m)])
def test_recipes_lead_from_random_weights_to_every_file(name: str) -> None:
    chain = card.recipes_to(zoo.get_weights(name).meta.recipe)
    assert card.start_of(chain[0]) is None
    for earlier, recipe in pairwise(chain):
        start = card.start_of(recipe)
        assert start is not None
        if is_recipe(start):
            assert Path(recipe).with_name(start) == Path(earlier)
        else:
            assert zoo.get_weights(start).meta.recipe == earlier
    section = (ROOT / "MODEL_CARD.md").read_text().split(f"### {name}\n")[1].split("\n## ")[0]
    assert "runs/" not in section  # which nobody has
    assert all((ROOT / recipe).is_file() for recipe in chain)
    for recipe in chain[1:]:
        assert f"`{Path(recipe).name}`" in section


@pytest.mark.parametrize("sha256", [None, "0" * 64])
def test_a_card_names_no_start_that_nobody_has(sha256: str | None) -> None:
    recipe = "benchmarks/recipes/srresnet_x2_photo.yaml"
    assert card.beginning(recipe, sha256) == "It starts from `srresnet_x2.psnr` of that time."
    known = zoo.get_weights("srresnet_x2.psnr").sha256
    assert card.beginning(recipe, known) == "It starts from `srresnet_x2.psnr`."


def test_the_gallery_shows_the_weights_that_ship() -> None:
    assert (ROOT / "docs" / "gallery.md").read_text() == gallery.page(), (
        "the gallery is stale: run benchmarks/gallery.py"
    )


def test_the_picture_of_degradations_can_be_drawn_again(tmp_path: Path) -> None:
    degradations.main(tmp_path / "again.png")
    shown, drawn = (
        np.asarray(Image.open(file).convert("RGB")).astype(int)
        for file in (degradations.FILE, tmp_path / "again.png")
    )
    assert shown.shape == drawn.shape
    assert np.abs(shown - drawn).mean() < 2  # codecs differ a little


def test_the_figure_of_costs_is_that_of_the_results(tmp_path: Path) -> None:
    cost.draw(publish.RESULTS, tmp_path / "cost.svg")
    drawn = (tmp_path / "cost.svg").read_text()
    for name in ("srresnet_x2.psnr", "srresnet_x4.psnr", "EDSR-baseline"):
        assert name in drawn
    measured = publish.result("srresnet_x2.psnr", publish.RESULTS)
    figures = (measured["parameters"] / 1e6, measured["sets"]["B100"]["psnr_y"])
    assert cost.ours(2, publish.RESULTS)["srresnet_x2.psnr"] == figures
    assert "srresnet_x2.photo" not in drawn


def test_an_edited_figure_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changing a result, or one digit on a page, makes the tests above fail."""
    written = publish.written_pages().items()
    others = ("speed.md", "scaling.md", "reliability.md")  # of other results
    pages = {file: text for file, text in written if file.name not in others}
    for file in publish.RESULTS.glob("*.json"):
        (tmp_path / file.name).write_text(file.read_text())
    weights = publish.result("srresnet_x2.psnr", publish.RESULTS)
    study = publish.result("losses", publish.RESULTS)
    figures = {
        "README.md": weights["sets"]["Set5"],
        "MODEL_CARD.md": weights["sets"]["Set5"],
        "figures.md": weights["sets"]["B100"],
        "lesson.md": study["losses"]["L1"],
    }
    assert {file.name for file in pages} == set(figures)
    for file, text in pages.items():
        assert f" {psnr(figures[file.name]):.2f} " in text
    for row in (weights["sets"]["Set5"], weights["sets"]["B100"], study["losses"]["L1"]):
        row["psnr_y"] = psnr(row) + 0.01
    for result in (weights, study):
        (tmp_path / f"{result['model']}.json").write_text(json.dumps(result))
    monkeypatch.setattr(publish, "RESULTS", tmp_path)
    assert publish.index() != json.loads((PRETRAINED / "index.json").read_text())
    assert all(publish.written_pages()[file] != text for file, text in pages.items())


def test_a_run_that_continues_lengthens_the_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("RESULTS", "PRETRAINED", "ROOT"):
        monkeypatch.setattr(publish, place, tmp_path)
    model = zoo.create_model("srresnet_x2", depth=1, width=8)
    zoo.save_model(model, tmp_path / "run" / "best")
    curve = [{"step": 50, "lr": 1e-3, "psnr_y": 30.0}, {"step": 100, "lr": 0.0, "psnr_y": 31.0}]
    (tmp_path / "run" / "history.json").write_text(json.dumps(curve))
    publish.weights(tmp_path / "run", "net.tag")
    publish.weights(tmp_path / "run", "net.tag", continues=True)
    published = json.loads((tmp_path / "net.tag.history.json").read_text())
    assert [row["step"] for row in published] == [50, 100, 150, 200]
    assert published[2]["psnr_y"] == 30
    assert [row.get("run", 0) for row in published] == [0, 0, 1, 1]
    assert read_weights(tmp_path / "net.tag.safetensors")["head.weight"].dtype == torch.float16

    others = [zoo.create_model("srresnet_x2", depth=1, width=8) for _ in range(2)]
    folders = [str(tmp_path / "second"), str(tmp_path / "third")]
    for other, folder in zip(others, folders, strict=True):
        zoo.save_model(other, folder)
    publish.weights(tmp_path / "run", "net.tag", mean_with=folders)
    torch.testing.assert_close(
        read_weights(tmp_path / "net.tag.safetensors")["head.weight"].float(),
        sum(net.head.weight for net in (model, *others)).detach() / 3,
        atol=1e-3,
        rtol=1e-3,
    )
    assert json.loads((tmp_path / "net.tag.history.json").read_text())[-1]["mean_of_models"] == 3
