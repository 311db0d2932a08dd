"""The public names of zoo, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import api_snapshot
import pytest

import zoo

PUBLIC = [
    "Segmenter",
    "Upscaler",
    "Weights",
    "ZooError",
    "ZooModel",
    "create_model",
    "export_model",
    "get_weights",
    "list_models",
    "list_weights",
    "load_model",
    "register_model",
    "register_weights",
    "save_model",
    "segment",
    "suggest",
    "transfer_weights",
    "upscale",
]


def test_public_names_are_these_and_all_can_be_used():
    assert sorted(zoo.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(zoo, name).__name__ == name
    assert set(PUBLIC) <= set(dir(zoo))


def test_nothing_vanishes_or_changes_unnoticed():
    """Names, signatures, options, weights, entry points of the hub, commands."""
    code = "import api_snapshot; print(*api_snapshot.lines(), sep='\\n')"  # no test's own models
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=api_snapshot.FILE.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    now, kept = shown.stdout.splitlines(), api_snapshot.FILE.read_text().splitlines()
    assert sorted(set(now) ^ set(kept)) == [], (
        "the public interface has changed: run tests/api_snapshot.py, and say so in CHANGELOG.md"
    )


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'zoo' has no attribute 'enhance'"):
        _ = zoo.enhance


@pytest.mark.parametrize(
    "code", ["import zoo", "import zoo; zoo.create_model('srresnet_x2', width=8, depth=1)"]
)
def test_import_is_light(code):
    heavy = ["timm", "torchvision", "huggingface_hub", "typer", "rich", "accelerate", "yaml"]
    code = f"{code}; import sys; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert result.stdout.strip() == "[]"


def test_errors_of_zoo_are_caught_by_their_base_class():
    with pytest.raises(zoo.ZooError):
        zoo.create_model("no such model")
