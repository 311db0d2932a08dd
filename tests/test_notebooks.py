"""The notebooks of the lesson: their committed outputs, and a run of each."""

from __future__ import annotations

import pydoc
import re
from itertools import groupby
from pathlib import Path

import nbclient
import nbformat
import pytest

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [output for cell in cells for output in cell.outputs]


def kinds(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """By cell what it puts out, in order; how a text is cut into outputs depends on the moment."""
    return [
        [kind for kind, _ in groupby(output.output_type for output in cell.outputs if told(output))]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def told(output: nbformat.NotebookNode) -> bool:
    return bool(output.get("name") != "stderr")


def test_both_notebooks_are_there() -> None:
    assert [file.stem for file in NOTEBOOKS] == ["segmentation", "super_resolution"]


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_committed_outputs(file: Path) -> None:
    assert file.stat().st_size < 1_500_000
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    found = outputs(notebook)
    assert sum("image/jpeg" in output.get("data", {}) for output in found) >= 5
    assert {output.output_type for output in found} <= {"stream", "display_data"}
    for output in found:
        assert output.get("name", "stdout") == "stdout"  # no warnings
        assert not re.search(r"Warning|/(tmp|home|root|Users)/", output.get("text", ""))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count  # was run


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_links_lead_somewhere(file: Path) -> None:
    notebook = nbformat.read(file, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert (file.parent / target).is_file(), target
    for place in re.findall(r"`((?:zoo|benchmarks)/[\w/]+\.\w+)`", text):
        assert (DOCS.parent / place).is_file(), place


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_run(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOO_CARVANA", raising=False)
    notebook = nbformat.read(file, as_version=4)
    committed = kinds(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises for a cell that fails
    assert kinds(notebook) == committed


def names_in_the_table() -> list[str]:
    table = (DOCS / "lesson.md").read_text().split("<!-- steps -->")[1].split("<!-- /steps -->")[0]
    return sorted(set(re.findall(r"`(zoo\.[\w.]+)`", table)))


def test_the_table_names_what_exists() -> None:
    names = names_in_the_table()
    assert len(names) > 30
    assert [name for name in names if pydoc.locate(name) is None] == []
