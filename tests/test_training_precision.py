"""Training computes in bf16 only where that is fast, or where a recipe asks for it by name."""

from __future__ import annotations

import pytest
import torch

from zoo.train.precision import autocast_for
from zoo.train.sr_recipe import SRRecipe


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(("precision", "half"), [("auto", None), ("fp32", False), ("bf16", True)])
def test_auto_asks_the_hardware(
    bf16: bool, precision: str, half: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": bf16})
    x = torch.ones(4, 4)
    with autocast_for(precision, torch.device("cpu")):  # type: ignore[arg-type]
        product = x @ x
    expected = bf16 if half is None else half
    assert product.dtype is (torch.bfloat16 if expected else torch.float32)


def test_another_precision_is_refused() -> None:
    stages = [{"steps": 1, "batch": 1, "patch": 8, "lr": 0.1}]
    recipe = {"model": {"name": "srresnet_x2"}, "stages": stages}
    assert SRRecipe.model_validate(recipe).precision == "auto"
    with pytest.raises(ValueError, match="precision"):
        SRRecipe.model_validate(recipe | {"precision": "fp16"})
