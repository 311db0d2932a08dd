"""Publishing: a run's weights into the package, results into the pages that quote them.

    python benchmarks/publish.py run runs/NAME srresnet_x2.psnr --recipe RECIPE --data DIR
    python benchmarks/publish.py weights runs/srresnet_x2 srresnet_x2.psnr
    python benchmarks/publish.py measure srresnet_x2.psnr --data DIR
    python benchmarks/publish.py pages

`run` does all: weights, their declaration, a commit of these, all measurements, gallery, pages.
`weights` writes the fp16 file into the package and the training curve beside the results. `measure`
runs all that depends on weights, the pages last. `pages` writes zoo/pretrained/index.json,
MODEL_CARD.md, the figures in README.md and in docs/, and the findings in docs/lesson.md. A test
fails while one of them differs from what this script would write.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import cost
import torch
import typer
from card import model_card
from common import RESULTS, check_results, start_sha256
from curves import plot_curve
from declare import declared, declaring
from findings import findings
from mean import mean_of
from scaling_table import scaling
from speed.page import draw, draw_memory, page
from speed.page import results as speeds
from speed.summary import closest, summary
from tables import degradations, result, segmentation, shipped, super_resolution
from torture_table import torture

from zoo.create import create_model, load_model
from zoo.errors import OptionError, ZooError
from zoo.inference.blending import CLEAN, TREATED
from zoo.registry import PRETRAINED, get_model, get_weights
from zoo.store.atomic import replacing
from zoo.store.download import sha256_of
from zoo.store.state_dict import save_weights

ROOT = Path(__file__).parents[1]
DEGRADED_TAGS = (CLEAN, TREATED, "fast")  # of weights that are measured on degraded images, too
NO_METRICS = ("seconds", "images", "classes")  # keys of a result's rows that are no metrics

app = typer.Typer(add_completion=False, no_args_is_help=True)


RunFolder = Annotated[Path, typer.Argument(metavar="RUN")]
DataFolder = Annotated[Path, typer.Option(help="What the benchmark of the weights' task takes.")]
NativeFolder = Annotated[Path | None, typer.Option(help="Carvana at full size.")]
Resnet50 = Annotated[str, typer.Option(help="*.safetensors file of ResNet50.")]
Lite0 = Annotated[str, typer.Option(help="*.safetensors file of Lite0.")]
Continues = Annotated[
    bool, typer.Option("--continues", help="The run began with the weights that it replaces.")
]
MeanWith = Annotated[
    list[str] | None,
    typer.Option(help="A model, by name or folder: take the mean with it. Repeatable."),
]


@app.command()
def run(
    folder: RunFolder,
    name: str,
    recipe: Annotated[Path, typer.Option(help="The run's recipe, in this repository.")],
    data: DataFolder,
    native: NativeFolder = None,
    resnet50: Resnet50 = "default",
    lite0: Lite0 = "default",
    continues: Continues = False,
    mean_with: MeanWith = None,
) -> None:
    """Replace declared weights by a run's: file, declaration, commit, figures, pages.

    The commit holds the new weights alone, so that every figure names the code that it is of. The
    figures and pages are left to look at and to commit.
    """
    known = get_weights(name)
    check_results(RESULTS, dirty=False)
    if not recipe.resolve().is_relative_to(ROOT):
        raise OptionError(f"{recipe} is in no folder of the repository.")
    split = load_model(folder / "best").split
    if split != (None if known.meta.split is None else dict(known.meta.split)):
        raise OptionError(f"{folder} has the split {split}: declare it with {name} first.")
    weights(folder, name, continues=continues, mean_with=mean_with)
    file = PRETRAINED / f"{name}.safetensors"
    source = declaring(name, ROOT / "zoo")
    text = declared(
        source.read_text(),
        name,
        sha256=sha256_of(file),
        size=file.stat().st_size,
        recipe=recipe.resolve().relative_to(ROOT).as_posix(),
    )
    with replacing(source) as part:
        part.write_text(text)
    curves = [RESULTS / f"{name}.history.json", ROOT / "docs" / "curves" / f"{name}.svg"]
    call("git", "-C", ROOT, "add", file, source, *curves)
    call("git", "-C", ROOT, "commit", "--quiet", "-m", f"Publish {name} as {folder.name} left it")
    measure(name, data=data, native=native, resnet50=resnet50, lite0=lite0)


@app.command()
def measure(
    name: str,
    data: DataFolder,
    native: NativeFolder = None,
    resnet50: Resnet50 = "default",
    lite0: Lite0 = "default",
) -> None:
    """Run all measurements that depend on weights, then write gallery and pages."""
    check_results(RESULTS, dirty=False)
    networks = ["--resnet50", resnet50, "--lite0", lite0]
    for script in measurements(name, data, native, networks):
        call(sys.executable, *script)


def measurements(
    name: str, data: Path, native: Path | None, networks: list[str]
) -> list[list[str | Path]]:
    """The scripts, with arguments, whose results depend on weights, in order."""
    here, known = ROOT / "benchmarks", get_weights(name)
    model = known.architecture
    if get_model(model).task == "segmentation":
        full: list[str | Path] = ["--native", native] if native else []
        scripts: list[list[str | Path]] = [
            [here / "carvana.py", "eval", name, "--data", data, *full]
        ]
    else:
        evaluation = [here / "super_resolution.py", "eval", name, "--data", data]
        scripts = [evaluation]
        if known.tag in DEGRADED_TAGS:
            scripts.append([*evaluation, "--degrade", "all", *networks])
        if create_model(name).scale != 1:
            scripts.append([here / "perceptual.py", model, "--data", data, *networks])
        scripts.append([here / "gallery.py"])
    return [*scripts, [here / "publish.py", "pages"]]


def call(*command: str | Path) -> None:
    """Runs a command; raises OptionError, which names it, if it fails."""
    if subprocess.run([str(word) for word in command]).returncode:
        raise OptionError(
            f"This failed, and all before it is done: {shlex.join(map(str, command))}"
        )


@app.command()
def weights(
    folder: RunFolder,
    name: str,
    continues: Continues = False,
    mean_with: MeanWith = None,
) -> None:
    """Write a run's best weights as PRETRAINED/NAME.safetensors, and its curve; print the facts."""
    model = load_model(folder / "best")
    mean = mean_of([model, *(load_model(other) for other in mean_with or [])])
    trained = {key for key, _ in model.named_parameters()}
    state = {  # buffers, such as statistics of batch norm, keep their precision
        key: value.to(torch.float16) if key in trained else value for key, value in mean.items()
    }
    file = PRETRAINED / f"{name}.safetensors"
    save_weights(state, file)
    history = json.loads((folder / "history.json").read_text())
    curve = RESULTS / f"{name}.history.json"
    if continues:
        earlier = json.loads(curve.read_text())
        done, run = earlier[-1]["step"], earlier[-1].get("run", 0) + 1
        history = earlier + [{**row, "step": row["step"] + done, "run": run} for row in history]
    if mean_with:
        history[-1]["mean_of_models"] = 1 + len(mean_with)
    if start := start_sha256(str(folder / "best")):
        history[-1]["start_sha256"] = start
    write_json(curve, history)
    plot_curve(history, ROOT / "docs" / "curves" / f"{name}.svg")
    print(f'file="{file.name}",\nsha256="{sha256_of(file)}",\nsize={file.stat().st_size:_},')
    if model.split:
        print(f"split={model.split},")


@app.command()
def pages() -> None:
    """Write the index, the model card, the README's figures and the findings."""
    write_json(PRETRAINED / "index.json", index())
    for file, text in written_pages().items():
        with replacing(file) as part:
            part.write_text(text)
    cost.draw(RESULTS, ROOT / "docs" / "cost.svg")
    if speeds(RESULTS):
        rows = [row for ways in closest(RESULTS).values() for row in ways.values()]
        draw(rows, ROOT / "docs" / "speed.svg")
    if "memory" in speeds(RESULTS):
        draw_memory(RESULTS, ROOT / "docs" / "memory.svg")


def write_json(file: Path, content: object) -> None:
    with replacing(file) as part:
        part.write_text(json.dumps(content, indent=1) + "\n")


def index() -> dict[str, Any]:
    """Size, hash and metrics of all weights, for the index.json that ships in the package."""
    entries = {}
    for name in shipped():
        measured = result(name, RESULTS)
        declared = get_weights(name)
        if measured["weights_sha256"] != declared.sha256:
            raise SystemExit(f"error: {name}.json was measured with other weights: run eval again.")
        means = {
            title: {key: round(value, 5) for key, value in row.items() if key not in NO_METRICS}
            for title, row in measured["sets"].items()
        }
        metrics = {"protocol": measured["protocol"], **means}
        entries[name] = {"sha256": declared.sha256, "size": declared.size, "metrics": metrics}
    return entries


def written_pages() -> dict[Path, str]:
    """The pages that quote figures, with the current ones, by file."""
    readme, lesson = ROOT / "README.md", ROOT / "docs" / "lesson.md"
    figures = ROOT / "docs" / "figures.md"
    large, reliable = ROOT / "docs" / "scaling.md", ROOT / "docs" / "reliability.md"
    text = readme.read_text()
    for title, table in (
        ("super-resolution", super_resolution),
        ("segmentation", segmentation),
        ("speed", summary),
    ):
        text = between(text, title, table(RESULTS))
    measured = {ROOT / "docs" / "speed.md": page(RESULTS)} if speeds(RESULTS) else {}
    return {
        **measured,
        readme: text,
        figures: between(figures.read_text(), "degradations", degradations(RESULTS)),
        large: between(large.read_text(), "scaling", scaling(RESULTS)),
        reliable: between(reliable.read_text(), "torture", torture(RESULTS)),
        lesson: between(lesson.read_text(), "findings", findings(RESULTS)),
        ROOT / "MODEL_CARD.md": model_card(RESULTS),
    }


def between(text: str, title: str, content: str) -> str:
    """The text with the part between <!-- TITLE --> and <!-- /TITLE --> replaced."""
    before, rest = text.split(f"<!-- {title} -->")
    after = rest.split(f"<!-- /{title} -->")[1]
    return f"{before}<!-- {title} -->\n{content}\n<!-- /{title} -->{after}"


if __name__ == "__main__":
    try:
        app()
    except ZooError as error:
        sys.exit(f"error: {error}")
