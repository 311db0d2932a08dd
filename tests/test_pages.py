"""Published figures come from result files: nobody edits one by hand."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from zoo.weights import PRETRAINED

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def publish() -> ModuleType:
    spec = importlib.util.spec_from_file_location("publish", ROOT / "benchmarks" / "publish.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_index_is_what_the_results_say(publish: ModuleType) -> None:
    assert json.loads((PRETRAINED / "index.json").read_text()) == publish.index()


def test_the_pages_are_what_the_results_say(publish: ModuleType) -> None:
    for file, text in publish.written_pages().items():
        assert file.read_text() == text, f"{file.name} is stale: run benchmarks/publish.py pages"


def test_an_edited_figure_is_noticed(
    publish: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing a result, the README or the card by one digit makes the tests above fail."""
    pages = publish.written_pages()
    name = publish.shipped()[0]
    figure = publish.result(name)["sets"]["Set5"]["psnr_y"]
    assert all(f"{figure:.2f}" in text for text in pages.values())
    for file in publish.RESULTS.glob("*.json"):
        (tmp_path / file.name).write_text(file.read_text())
    edited = publish.result(name)
    edited["sets"]["Set5"]["psnr_y"] += 0.01
    (tmp_path / f"{name}.json").write_text(json.dumps(edited))
    monkeypatch.setattr(publish, "RESULTS", tmp_path)
    assert publish.index() != json.loads((PRETRAINED / "index.json").read_text())
    assert all(publish.written_pages()[file] != text for file, text in pages.items())
