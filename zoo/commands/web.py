"""`zoo web`: the page in the browser, until it is interrupted."""

from __future__ import annotations

import ipaddress
from threading import Event

from rich.console import Console

from zoo.errors import MissingDependencyError
from zoo.inference.device import pick_device
from zoo.web.limits import Limits


def run(host: str, port: int | None, limits: Limits, device: str) -> None:
    """Serve the page until Ctrl+C or SIGTERM.

    Raises MissingDependencyError without gradio, InputError for a host, port or device that can't
    be used.
    """
    try:
        from zoo.web.serving import serving
    except ImportError as error:
        raise MissingDependencyError(
            f"The page needs a package, and {error.name} is missing: pip install 'zoo-models[web]'."
        ) from error
    pick_device(device)  # before the page is there
    console = Console(soft_wrap=True)
    try:
        with serving(host=host, port=port, limits=limits, device=device) as address:
            console.print(f"Open {address} in a browser. Ctrl+C ends the page.", highlight=False)
            if not _is_of_this_computer(host):
                console.print("Whoever reaches this computer can use the page.", highlight=False)
            Event().wait()
    except KeyboardInterrupt:
        console.print("Ended.")


def _is_of_this_computer(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
