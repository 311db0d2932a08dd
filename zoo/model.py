"""The base class of every model in the zoo."""

from __future__ import annotations

from typing import Any

from torch import nn


class ZooModel(nn.Module):
    """A module that knows how it was built.

    `config` holds `{"architecture": name, "options": {...}}` and is set by the registry when a
    builder has built the model. `source` names the weights that were loaded ("srresnet_x4.psnr",
    "hf-hub:org/repo@commit", a path or a URL), None after a random start.
    """

    config: dict[str, Any]
    source: str | None = None

    def push_to_hub(
        self,
        repo: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        commit_message: str = "Upload model",
    ) -> str:
        """Upload `model.safetensors` and `config.json` to the Hugging Face repository "org/name".

        The repository is created if it does not exist. Returns the URL of the commit.
        Raises WeightsError when the hub refuses or cannot be reached.
        """
        from zoo.hub import push_to_hub

        return push_to_hub(self, repo, private=private, token=token, commit_message=commit_message)
