"""What the pages show runs: Python as printed, recipes shortened, commands with their options."""

from __future__ import annotations

import json
import re
import shlex
from itertools import combinations
from pathlib import Path
from typing import Any

import carvana
import numpy as np
import pytest
import skimage.data
import super_resolution
import tiny_seg
import tiny_sr
import typer
import yaml
from generated_cars import generate_cars
from PIL import Image
from super_resolution import generated_photographs

import zoo
from zoo import cli
from zoo.train import segmentation as seg
from zoo.train import sr_recipe
from zoo.train import super_resolution as sr
from zoo.train.degradations import DegradationsSection
from zoo.train.loop import Trainer

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "docs/export.md", "docs/training.md", "docs/weights.md"]


@pytest.mark.parametrize("page", PAGES)
def test_python_on_the_pages(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_registry: None
) -> None:
    text = (ROOT / page).read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert blocks
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    astronaut = skimage.data.astronaut()
    for i in range(26):
        Image.fromarray(astronaut[i * 8 : i * 8 + 56, :64]).save(f"photos/{i:02}.png")
    Image.fromarray(astronaut[:40, :48]).save("photo.jpg")
    code = "\n".join(blocks).replace('"steps": 2000', '"steps": 2').replace("100}", "1}")
    scope: dict[str, object] = {"__name__": "page"}
    exec(compile(code, page, "exec"), scope)
    if page == "README.md":
        assert scope["large"].size == (192, 160)
        assert scope["result"].shape == (1, 3, 148, 212)
    elif page == "docs/export.md":
        assert scope["error"] < 1e-4
        assert scope["large"].size == (96, 80)
        assert scope["mask"].size == (48, 40)
    elif page == "docs/weights.md":
        assert len(scope["same"].body) == len(scope["net"].body)
    else:
        for job in ("denoiser", "colouring"):
            assert Path("runs", job, "best", "model.safetensors").is_file()
            rows = json.loads(Path("runs", job, "history.json").read_text())
            assert "psnr_rgb" in rows[-1]  # luma would not see what colouring is about
            assert rows[-1]["psnr_rgb"] < 40
        assert scope["old_web_picture"](astronaut, 2).shape == (256, 256, 3)
        noises = [noise_of(scope["add_noise"], astronaut[i : i + 56, :64]) for i in (0, 8, 0)]
        assert not np.array_equal(noises[0], noises[1])  # of one size, yet different photographs
        assert np.array_equal(noises[0], noises[2])
        task = scope["SuperResolution"](
            scope["recipe"], Path("photos"), scale=1, degrade=scope["add_noise"], device="cpu"
        )
        pairs = task.held_out
        drawn = [pair.input.astype(int) - pair.target for pair in pairs]
        assert len(pairs) == 24
        assert not any(np.array_equal(a, b) for a, b in combinations(drawn, 2))
        assert all(15 < noise.std() < 26 for noise in drawn)


def test_every_page_with_python_is_run() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    shown = {str(page.relative_to(ROOT)) for page in pages if "```python\n" in page.read_text()}
    assert shown == {*PAGES, "docs/scaling.md"}  # the last one in tests/test_ray.py


def noise_of(add_noise: Any, image: np.ndarray) -> np.ndarray:
    """What is added where nothing is clipped: to an image of low contrast."""
    calm = (image // 4 + 96).astype(np.uint8)
    return add_noise(calm, 1).astype(int) - calm


def blocks_of(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("number", range(len(blocks_of("docs/training.md", "yaml"))))
def test_recipes_on_the_page_are_trained(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole ones as they are, parts of one within a tiny recipe; shortened to two steps a stage."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    content = yaml.safe_load(blocks_of("docs/training.md", "yaml")[number])
    segments = "split" in content
    recipe = (tiny_seg.TINY if segments else tiny_sr.TINY) | content
    if segments:
        plan = seg.smoke(seg.SegRecipe.model_validate(recipe))
        task = seg.Segmentation(plan, generate_cars(tmp_path / "cars"), cache=tmp_path / "cache")
    else:
        full = sr_recipe.SRRecipe.model_validate(recipe)
        plan = sr_recipe.smoke(full)
        folder = tmp_path / "photographs"
        folder.mkdir()
        generated_photographs(folder)
        scale = zoo.create_model(plan.model.name, **plan.model.options).scale
        assert full.teacher is None or full.teacher.model in zoo.list_weights("srresnet_x4")
        task = sr.SuperResolution(plan, folder, scale=scale, device="cpu")
    model = zoo.create_model(plan.model.name, **plan.model.options)
    trainer = Trainer(model, plan, tmp_path / "run")
    assert trainer.fit(task)
    assert trainer.step == 2 * len(recipe["stages"])


def test_the_degradations_on_the_page_are_the_defaults() -> None:
    (block,) = [b for b in blocks_of("docs/training.md", "yaml") if b.startswith("degradations")]
    given = DegradationsSection.model_validate(yaml.safe_load(block)["degradations"])
    assert given == DegradationsSection()
    page = (ROOT / "docs" / "training.md").read_text()
    assert set(DegradationsSection.model_fields) - {"photons"} <= set(re.findall(r"\w+", page))


COMMANDS = [
    (page, line)
    for page in ["README.md", *(f"docs/{file.name}" for file in sorted(ROOT.glob("docs/*.md")))]
    for block in blocks_of(page, "bash")
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith(("zoo ", "python benchmarks/"))
]
SCRIPTS = {"super_resolution": super_resolution, "carvana": carvana}


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=str)
def test_commands_on_the_pages_are_accepted(page: str, line: str) -> None:
    """Each command and option exists, and every file of ours that is named."""
    words = shlex.split(line, comments=True)
    app = cli.app
    if words[0] == "python":
        script = SCRIPTS.get(Path(words[1]).stem)
        assert (ROOT / words[1]).is_file()
        if script is None:
            return
        app, words = script.app, words[1:]
    command = typer.main.get_command(app).commands[words[1]]
    command.make_context(words[1], words[2:])
    for word in words:
        if word.startswith("benchmarks/"):
            assert (ROOT / word).is_file()


@pytest.mark.parametrize(
    "file", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=lambda file: file.name
)
def test_links_lead_to_files(file: Path) -> None:
    links = re.findall(r"\]\(([^):]+)\)", file.read_text())
    assert [link for link in links if not leads_somewhere(file, link)] == []


def leads_somewhere(file: Path, link: str) -> bool:
    """Whether the file of a link exists, and on it the heading behind the #."""
    path, _, heading = link.partition("#")
    target = file.parent / path if path else file
    if not heading:
        return target.exists()
    titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
    return heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
