"""The training loop once more, in plain PyTorch, with a toy net and a task to train it on."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from timm.optim.muon import Muon
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.registry import register_model
from zoo.train.loop import Trainer
from zoo.train.recipe import Recipe, Stage

Batch = tuple[Tensor, Tensor]
RECIPE: dict[str, Any] = {
    "model": {"name": "wired"},
    "stages": [
        {"steps": 5, "batch": 2, "lr": 0.02},
        {"steps": 6, "batch": 3, "lr": 0.03},
    ],
    "precision": "fp32",
    "ema": 0.9,
    "log_every": 2,
    "validate_every": 4,
    "checkpoint_every": 4,
}


class Net(zoo.ZooModel):
    """Everything that the loop can treat apart: ends, middle, batch norm, layer groups."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(3, 6, 3, padding=1, bias=False)  # a bias would learn noise
        self.norm = nn.BatchNorm2d(6)
        self.body = nn.Conv2d(6, 6, 3, padding=1)
        self.tail = nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(F.leaky_relu(self.body(F.leaky_relu(self.norm(self.head(x))))))

    def layer_groups(self) -> dict[str, dict[str, nn.Parameter]]:
        groups: dict[str, dict[str, nn.Parameter]] = {"early": {}, "late": {}}
        for name, parameter in self.named_parameters():
            early = name.startswith(("head.", "norm."))
            groups["early" if early else "late"][name] = parameter
        return groups


def register() -> None:
    """`Net` as the model "wired", so that it can be saved and loaded."""

    @register_model(task="super-resolution")
    def wired() -> Net:
        return Net()


def net(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    return zoo.create_model("wired")


class Noise:
    """Turn the channels of noise around. Remembers its batches.

    `sign` -1 makes the worst weights the best; `stop` is the batch that is never delivered.
    """

    score = "score"

    def __init__(self, *, sign: int = 1, stop: int | None = None) -> None:
        generator = torch.Generator().manual_seed(99)
        self.lens = torch.randn(4, 3, 3, 3, generator=generator)  # bf16 tells under autocast
        self.held_out = self._pair(torch.rand(4, 3, 8, 8, generator=generator))
        self.sign, self.stop, self.batches = sign, stop, list[Batch]()
        self.seen: list[int] = []  # images of each loss of a training step

    def _pair(self, x: Tensor) -> Batch:
        return x, 2 * x.flip(1) - 0.5

    def batch(self, stage: Stage, generator: torch.Generator) -> Batch:
        if len(self.batches) == self.stop:
            raise KeyboardInterrupt
        self.batches.append(self._pair(torch.rand(stage.batch, 3, 8, 8, generator=generator)))
        return self.batches[-1]

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        assert prediction.dtype == torch.float32
        if prediction.requires_grad:
            self.seen.append(len(prediction))
        return F.conv2d(prediction - target, self.lens).float().square().mean()

    def validate(self, model: nn.Module) -> dict[str, float]:
        assert not any(layer.training for layer in model.modules())
        x, y = self.held_out
        with torch.no_grad():
            return {"score": -self.sign * self.loss(model(x), y).item()}


@dataclass
class Outcome:
    """What a run leaves: weights, averaged weights, the best of these, and the curve."""

    weights: dict[str, Tensor]
    averaged: dict[str, Tensor]
    best: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and statistics, without counts."""
    state = model.state_dict().items()
    return {name: value.clone() for name, value in state if value.is_floating_point()}


def distance(one: Outcome, other: Outcome) -> float:
    """The greatest difference of any number; infinite between curves of other shapes."""
    states = zip(
        (one.weights, one.averaged, one.best), (other.weights, other.averaged, other.best),
        strict=True,
    )  # fmt: skip
    gaps = [(a[name] - b[name]).abs().max().item() for a, b in states for name in a]
    if [list(row) for row in one.history] != [list(row) for row in other.history]:
        return float("inf")
    for a, b in zip(one.history, other.history, strict=True):
        gaps += [abs(a[key] - b[key]) / max(1, abs(b[key])) for key in a]
    return max(gaps)


def recipe_with(options: dict[str, Any]) -> Recipe:
    """`RECIPE` with changes such as {"clip": 1, "optimizer.name": "muon", "stages.0.warmup": 2}."""
    content = copy.deepcopy(RECIPE) | {"optimizer": {}}
    for path, value in options.items():
        part: Any = content
        *where, key = path.split(".")
        for step in where:
            part = part[int(step) if step.isdigit() else step]
        part[key] = value
    return Recipe.model_validate(content)


def trained(recipe: Recipe, task: Noise, folder: Path, *, seed: int = 0, **how: Any) -> Outcome:
    """A run of the zoo's loop."""
    model = net(seed)
    trainer = Trainer(model, recipe, folder)
    assert trainer.fit(task, **how)
    best = state_of(zoo.load_model(folder / "best"))
    return Outcome(state_of(model), state_of(trainer.averaged.module), best, trainer.history)


def reference(recipe: Recipe, task: Noise, batches: list[Batch], model: Any = None) -> Outcome:
    """The same run, step by step, on given batches."""
    model = (model or net()).to(memory_format=torch.channels_last)  # rounds as the zoo's does
    run, averages, losses, queue = Outcome({}, {}), copy.deepcopy(model).eval(), [], iter(batches)
    average, step = run.averaged, 0
    for stage in recipe.stages:
        optimizer, learning = optimizer_of(model, recipe, stage)
        highest, best = [group["lr"] for group in optimizer.param_groups], -math.inf
        for i, factor in enumerate(factors(stage), start=1):
            set_modes(model, stage)
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                group["lr"] = rate * factor
            x, y = next(queue)
            with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
                loss = task.loss(model(x).float(), y)
            model.zero_grad()
            loss.backward()
            if recipe.clip:
                norm = torch.stack([p.grad.norm() for p in learning]).norm()
                for parameter in learning:
                    parameter.grad *= min(1.0, recipe.clip / (norm.item() + 1e-6))
            optimizer.step()
            for name, value in state_of(model).items():
                kept = min(recipe.ema, (1 + step) / (10 + step))
                average[name] = average.get(name, value).lerp(value, 1 - kept)
            losses.append(loss.item())
            step += 1

            last = i == stage.steps
            if step % recipe.log_every == 0 or last:
                mean = sum(losses) / len(losses)
                run.history.append({"step": step, "lr": stage.lr * factor, "loss": mean})
                losses = []
            if step % recipe.validate_every == 0 or last:
                averages.load_state_dict(average, strict=False)
                run.history[-1] |= task.validate(averages)
                if run.history[-1]["score"] > best:
                    best, run.best = run.history[-1]["score"], dict(average)
    run.weights = state_of(model)
    return run


def optimizer_of(
    model: Any, recipe: Recipe, stage: Stage
) -> tuple[torch.optim.Optimizer, list[nn.Parameter]]:
    """One group for each parameter that learns."""
    section, groups = recipe.optimizer, []
    for part, parameters in model.layer_groups().items():
        for name, parameter in parameters.items():
            module = name.split(".")[0]
            group = {"params": [parameter], "lr": stage.lr * stage.lr_ratios.get(part, 1)}
            group["weight_decay"] = section.weight_decay if parameter.ndim > 1 else 0
            adam = parameter.ndim < 2 or module in section.adam_modules
            if section.name == "muon" and adam:
                group |= {"use_fallback": True, "lr": group["lr"] * section.adam_ratio}
            if module in stage.trainable or not stage.trainable:
                groups.append(group)
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "muon": Muon}
    kind: Any = kinds[section.name]
    optimizer = kind(groups, betas=section.betas)
    return optimizer, [group["params"][0] for group in groups]


def set_modes(model: Any, stage: Stage) -> None:
    learns = "norm" in stage.trainable or not stage.trainable
    model.train()
    model.norm.train(learns and "norm" not in stage.frozen_statistics)


def factors(stage: Stage) -> list[float]:
    """Shares of the learning rate, one a step."""

    def fall(start: float, i: int) -> float:
        return math.cos(math.pi / 2 * (i - start) / (stage.steps - start)) ** 2

    steps, rise = range(stage.steps), 0.3 * stage.steps
    if stage.schedule == "exponential":
        return [1e-6 ** (1 - i / (stage.steps - 1)) for i in steps]
    if stage.schedule == "onecycle":
        up = [1 - 0.96 * math.cos(math.pi / 2 * i / rise) ** 2 for i in steps if i < rise]
        return up + [fall(rise, i) for i in steps if i >= rise]
    down = [fall(stage.warmup, i) if stage.schedule == "cosine" else 1.0 for i in steps]
    return [(i + 1) / stage.warmup if i < stage.warmup else down[i] for i in steps]
