"""From the page to a web server on this computer, and the end of both without a trace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from zoo.errors import InputError
from zoo.web.app import CSS, make_page
from zoo.web.folders import Folders
from zoo.web.guard import Guard
from zoo.web.limits import Limits
from zoo.web.samples import write_samples

HOST, PORT = "127.0.0.1", 7860
_ROOM = 1_000_000  # bytes of a request besides the file in it


@contextmanager
def serving(
    *,
    host: str = HOST,
    port: int | None = None,
    limits: Limits | None = None,
    device: str = "auto",
) -> Iterator[str]:
    """Serve the page while the context lasts, and yield its address.

    All files lie in a temporary folder, which is gone at the end.
    port: by default the first that is free from 7860 on.
    Raises InputError if the host or the port can't be used.
    """
    limits = limits or Limits()
    with TemporaryDirectory(prefix="zoo-web-") as folder:
        root = Path(folder).resolve()
        with _environment(GRADIO_TEMP_DIR=str(root), GRADIO_EXAMPLES_CACHE=str(root / "examples")):
            (root / "samples").mkdir()
            samples = write_samples(root / "samples")
            page = make_page(Folders(root), samples, limits, device=device)
            try:
                yield _launch(page, host, port, limits)
            finally:
                page.close(verbose=False)


def _launch(page: gr.Blocks, host: str, port: int | None, limits: Limits) -> str:
    # Another site's name could be made to lead here, too, so that its scripts would be at home.
    here = ["127.0.0.1", "localhost"]
    own_names = [Middleware(TrustedHostMiddleware, allowed_hosts=here)] if host in here else []
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            share=False,
            quiet=True,
            show_error=False,  # what is not a sentence of ours may name folders
            max_file_size=limits.bytes,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            app_kwargs={"middleware": [*own_names, Middleware(Guard, most=limits.bytes + _ROOM)]},
            theme=gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
            css=CSS,
        )
    except OSError as error:
        where = f"{host}:{port}" if port else host
        raise InputError(
            f"The page can't be served at {where}; accepted are an address of this computer"
            " (--host) and a port that is free (--port)."
        ) from error
    return str(address)


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """Set environment variables, by which gradio is told where its files go, for a while."""
    former = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
