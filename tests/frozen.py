"""Makes tests/data/VERSION, which every later version must read; run once for each version.

    python tests/frozen.py

tests/test_frozen.py reads all of them. None is ever made again.
"""

from __future__ import annotations

import json
from pathlib import Path

import tiny_sr
import torch
from pictures import smooth_pixels

import zoo
from zoo.train.loop import Trainer
from zoo.train.sr_recipe import SRRecipe

DATA = Path(__file__).parent / "data"
RECIPE = SRRecipe.model_validate(tiny_sr.TINY | {"precision": "fp32"})


def freeze(folder: Path) -> None:
    """A model in each format, what it makes of a picture, and a run that stopped early."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    model = zoo.create_model("srresnet_x2", depth=1, width=8).eval()
    zoo.save_model(model, folder / "folder")
    model.save_pretrained(folder / "hub", license="mit")
    zoo.export_model(model, folder / "model.onnx")
    pixels = smooth_pixels(9, 8)
    result = zoo.Upscaler(model, precision="fp32").array(pixels)
    example = {"pixels": pixels.tolist(), "result": result.tolist()}
    (folder / "example.json").write_text(json.dumps(example) + "\n")
    model = zoo.create_model("srresnet_x2", depth=1, width=8)
    assert not Trainer(model, RECIPE, folder / "run").fit(tiny_sr.Constant(), time_limit=0)


if __name__ == "__main__":
    freeze(DATA / zoo.__version__)
