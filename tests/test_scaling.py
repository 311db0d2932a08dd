"""The measurement behind docs/scaling.md at a tiny size, and the table made of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scaling_table import UNKNOWN, scaling, whole


def test_the_steps_are_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("moto.server")
    script = pytest.importorskip("scaling")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "")  # to be as before at the end
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(script, "NETWORKS", ("srresnet_x2.fast", "srresnet_x4.fast"))
    script.main(height=60, width=80, crop=16, repeats=1, out=tmp_path)
    measured = json.loads((tmp_path / "scaling.json").read_text())
    assert set(measured["networks"]) == set(measured["weights_sha256"])
    for row in (measured["photograph"], *measured["networks"].values()):
        assert all(value > 0 for value in row.values())
    small, large = measured["networks"].values()
    assert small["bytes"] < large["bytes"]
    assert "`srresnet_x4.fast`" in scaling(tmp_path)


def test_a_crop_is_mirrored_to_a_size() -> None:
    script = pytest.importorskip("scaling")
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    filled = script.mirrored(pixels, 3, 5)
    assert filled.shape == (3, 5, 3)
    assert (filled[:2, :2] == pixels).all()
    assert (filled[2] == filled[1]).all()
    assert script.mirrored(pixels, 1, 1).shape == (1, 1, 3)


def test_the_table_adds_up(tmp_path: Path) -> None:
    assert scaling(tmp_path) == UNKNOWN
    row = {"network": 3.0, "encode": 0.2, "write": 0.2, "read": 9, "bytes": 2e6}
    measured = {
        "date": "2030-01-01",
        "environment": {"threads": 4, "cpu": "a processor", "libraries": {"torch": "2.8"}},
        "height": 3000,
        "width": 4000,
        "crop": 8,
        "protocol": "as told",
        "photograph": {"decode": 0.1, "read": 0.1, "write": 9, "encode": 9, "bytes": 5e6},
        "networks": {"a.fast": {**row, "multiply_adds_per_pixel": 1000.0}},
    }
    assert whole(measured, measured["networks"]["a.fast"]) == pytest.approx(3.6)
    (tmp_path / "scaling.json").write_text(json.dumps(measured))
    text = scaling(tmp_path)
    assert "| `a.fast` | 3 | 0.2 | 0.2 | **3.6** |" in text
    assert "| `a.fast` | 10,000 | 40,000 | 1,667 | 20 TB | 2.4e+17 |" in text
