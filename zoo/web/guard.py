"""What the web server refuses before gradio sees it."""

from __future__ import annotations

import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

# Gradio would fetch pages of the internet for whoever asks: file=https://… and proxy=….
_REMOTE = re.compile(r"/(file=/*https?:|proxy=)", re.IGNORECASE)


class Guard:
    """Middleware that refuses large requests by their length, and requests for other servers.

    most: bytes of a request.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        if _REMOTE.search(scope["path"]):
            return PlainTextResponse("This page serves its own files alone.", 403)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if int(length) > self.most:
            return PlainTextResponse(f"This page takes {self.most / 1e6:g} MB at once.", 413)
        return None
