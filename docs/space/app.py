"""zoo's page as a Hugging Face Space."""

from __future__ import annotations

import os
from threading import Event

from zoo.web.limits import Limits
from zoo.web.serving import serving

# The machine of a Space is small, and many share it.
LIMITS = Limits(megabytes=20, megapixels=25, seconds=120)

if __name__ == "__main__":
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0")
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    with serving(host=host, port=port, limits=LIMITS):
        Event().wait()
