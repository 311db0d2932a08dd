"""The training loop for every task, on a CPU, a GPU or, with `accelerate launch`, several."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from pydantic import ValidationError
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter

from zoo.errors import TrainingError
from zoo.store.atomic import replacing
from zoo.store.folder import save_model
from zoo.train.averaging import average
from zoo.train.checkpoints import load_checkpoint, save_checkpoint
from zoo.train.freezing import named, train_only, unfreeze
from zoo.train.optimizers import lr_ratios, make_optimizer, rate_factor, trainable_parameters
from zoo.train.recipe import Recipe, Stage
from zoo.train.task import Task


class Trainer:
    """Trains a model by a recipe and keeps the run in one folder.

    The folder holds `last.pt` (the checkpoint to resume from), `best/` (the averaged weights with
    the latest stage's best held-out score, for `zoo.load_model`), `history.json` (the training
    curve) and TensorBoard's files.

    The seed, the step and the process's rank determine each batch, and the step the learning rate,
    so a resumed run takes the same steps as an uninterrupted one.

    Args:
        model: trained in place.
        recipe: stages, optimizer, precision.
        folder: made if missing.
    """

    def __init__(self, model: nn.Module, recipe: Recipe, folder: Path) -> None:
        self.accelerator = Accelerator(mixed_precision="no")  # autocast is set in _run_stage
        self.device: torch.device = self.accelerator.device
        self.recipe, self.folder = recipe, folder
        self.model = model.to(self.device).to(memory_format=torch.channels_last)
        self.averaged = AveragedModel(
            self.model,
            multi_avg_fn=partial(average, decay=recipe.ema),
            use_buffers=True,
        )
        named(self.model, recipe.optimizer.adam_modules)  # raises for a typo
        self.step = 0  # over all stages
        self.best = -math.inf
        self.history: list[dict[str, float]] = []
        self.pending: list[Tensor] = []  # losses not yet read: reading each would stall a GPU
        self.optimizer_state: dict[str, Any] | None = None  # of the stage to resume
        self.checkpoint = folder / "last.pt"

    def fit(self, task: Task[Any], *, time_limit: float = math.inf, resume: bool = False) -> bool:
        """Trains to the end of the last stage; returns False if stopped by `time_limit` (seconds).

        Raises:
            TrainingError: the loss or the weights are not finite; `resume` finds no checkpoint, or
                one of another recipe; without `resume`, the folder already holds a run.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for leftover in self.folder.rglob(".*.part*"):  # left by a killed process
            leftover.unlink(missing_ok=True)
        if resume:
            self._load()
        elif self.checkpoint.exists():
            raise TrainingError(f"{self.folder} holds a run already: resume it, or name another.")
        self.task, deadline = task, time.monotonic() + time_limit
        silent = not self.accelerator.is_main_process
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        start = 0  # the stage's first step
        with (
            Progress(*columns, disable=silent) as progress,
            nullcontext() if silent else SummaryWriter(self.folder, purge_step=self.step) as board,
        ):
            for stage in self.recipe.stages:
                end = start + stage.steps
                if self.step < end and not self._run_stage(stage, start, deadline, progress, board):
                    return False
                start = end
        unfreeze(self.model)
        return True

    def _run_stage(
        self,
        stage: Stage,
        start: int,
        deadline: float,
        progress: Progress,
        board: SummaryWriter | None,
    ) -> bool:
        recipe, task, end = self.recipe, self.task, start + stage.steps
        parameters = trainable_parameters(self.model, stage.trainable)
        ratios = lr_ratios(self.model, stage.lr_ratios)
        train_only(self.model, stage.trainable, frozen_statistics=stage.frozen_statistics)
        optimizer = make_optimizer(recipe.optimizer, parameters, lr=stage.lr, ratios=ratios)
        if self.step == start:
            self.best = -math.inf  # scores of stages, perhaps at other sizes, aren't comparable
        if self.optimizer_state is not None and self.step > start:
            optimizer.load_state_dict(self.optimizer_state)
        model, optimizer = self.accelerator.prepare(self.model, optimizer)
        forward = torch.compile(model) if recipe.compile else model
        autocast = torch.autocast(
            self.device.type, torch.bfloat16, enabled=recipe.precision == "bf16"
        )
        generator = torch.Generator(self.device)
        bar = progress.add_task("", total=stage.steps, completed=self.step - start, note="")

        model.train()
        while self.step < end:
            factor = rate_factor(stage, self.step - start)
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
            generator.manual_seed(self._seed())
            inputs, targets = (x.to(self.device) for x in task.batch(stage, generator))
            with autocast:  # includes the loss, which may contain a network
                loss = task.loss(forward(inputs).float(), targets)
            optimizer.zero_grad()
            self.accelerator.backward(loss)
            if recipe.clip is not None:
                self.accelerator.clip_grad_norm_(list(parameters.values()), recipe.clip)
            optimizer.step()
            self.averaged.update_parameters(self.model)
            self.pending.append(loss.detach())
            self.step += 1
            progress.advance(bar)

            if self.step % recipe.log_every and self.step < end:
                continue
            stop = self._is_over(deadline)
            row = {"step": self.step, "lr": stage.lr * factor, "loss": self._mean_loss()}
            self._check_weights(parameters.values())
            if stop or self.step == end or self.step % recipe.validate_every == 0:
                row |= self._validate()
            self._log(row, progress, bar, board)
            if stop or self.step == end or self.step % recipe.checkpoint_every == 0:
                self._save(optimizer)
            if stop and self.step < end:
                return False
        self.accelerator.free_memory()  # releases the stage's wrappers
        return True

    def _seed(self) -> int:
        """A hash, because generators on the CPU take only the lower 32 bits of a seed."""
        text = f"{self.recipe.seed} {self.step} {self.accelerator.process_index}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def _is_over(self, deadline: float) -> bool:
        """Whether time is up for any process, so that all stop at the same step."""
        late = torch.tensor(float(time.monotonic() > deadline), device=self.device)
        return bool(self.accelerator.reduce(late) > 0)

    def _mean_loss(self) -> float:
        """Mean over processes since the last call; raises TrainingError for a non-finite loss."""
        losses: Tensor = self.accelerator.reduce(torch.stack(self.pending), "mean").cpu()
        self.pending = []
        if not losses.isfinite().all():
            first = int((~losses.isfinite()).nonzero()[0])
            step = self.step - len(losses) + first + 1
            raise self._broken(f"The loss was {losses[first].item()} at step {step}")
        return losses.mean().item()

    def _check_weights(self, parameters: Iterable[Tensor]) -> None:
        """Raises TrainingError for non-finite weights, which a finite loss can still cause."""
        if not all(parameter.isfinite().all() for parameter in parameters):
            raise self._broken(f"The weights were no longer finite at step {self.step}")

    def _broken(self, what: str) -> TrainingError:
        good = f"the last good checkpoint is {self.checkpoint}"
        rest = good if self.checkpoint.exists() else "there is no checkpoint yet"
        return TrainingError(f"{what}: {rest}.")

    def _validate(self) -> dict[str, float]:
        """Measures the averaged weights and keeps them if they are the best so far."""
        if not self.accelerator.is_main_process:
            return {}
        averaged = self.averaged.module
        averaged.eval()
        metrics = self.task.validate(averaged)
        if metrics[self.task.score] > self.best:
            self.best = metrics[self.task.score]
            save_model(averaged, self.folder / "best")
        return metrics

    def _log(
        self, row: dict[str, float], progress: Progress, bar: TaskID, board: SummaryWriter | None
    ) -> None:
        self.history.append(row)
        for name, value in row.items():
            if board is not None:
                board.add_scalar(name, value, self.step)
        note = "  ".join(f"{name} {value:.5g}" for name, value in row.items())
        progress.update(bar, note=note)
        if self.task.score in row:
            progress.console.print(note)

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        if not self.accelerator.is_main_process:
            return
        state = {
            "recipe": self.recipe.model_dump(mode="json"),
            "step": self.step,
            "best": self.best,
            "history": self.history,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        save_checkpoint(self.checkpoint, state)
        with replacing(self.folder / "history.json") as part:
            part.write_text(json.dumps(self.history))

    def _load(self) -> None:
        state = load_checkpoint(self.checkpoint)
        recipe, earlier = self.recipe.model_dump(mode="json"), state["recipe"]
        with suppress(ValidationError):  # adds keys that are newer than the run
            earlier = type(self.recipe).model_validate(earlier).model_dump(mode="json")
        for key, value in earlier.items():
            if recipe.get(key) != value:
                raise TrainingError(
                    f"{self.folder} holds a run of another recipe, so it can't go on by this one:"
                    f" {key} was {value} and is {recipe.get(key)}."
                )
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.step, self.best = state["step"], state["best"]
        self.history, self.optimizer_state = state["history"], state["optimizer"]
