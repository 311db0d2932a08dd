"""What former versions wrote is read for ever: see tests/frozen.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_sr
from frozen import DATA, RECIPE

import zoo
from zoo.train.loop import Trainer

VERSIONS = sorted(DATA.iterdir())


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("name", ["folder", "hub", "model.onnx"])
def test_models(version: Path, name: str) -> None:
    example = json.loads((version / "example.json").read_text())
    pixels = np.asarray(example["pixels"], np.uint8)
    result = zoo.Upscaler(str(version / name), precision="fp32").array(pixels)
    assert np.abs(result.astype(int) - example["result"]).max() <= 1


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_run_goes_on(version: Path, tmp_path: Path) -> None:
    shutil.copytree(version / "run", tmp_path / "run")
    trainer = Trainer(zoo.create_model("srresnet_x2", depth=1, width=8), RECIPE, tmp_path / "run")
    trainer.begin(resume=True)
    assert 0 < trainer.step < 14
    assert trainer.fit(tiny_sr.Constant(), resume=True)
    assert trainer.step == 14
    assert zoo.load_model(tmp_path / "run" / "best").scale == 2


def test_this_version_is_there() -> None:
    assert DATA / zoo.__version__ in VERSIONS
