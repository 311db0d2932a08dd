"""What the web server refuses before gradio sees it."""

from __future__ import annotations

import json
import re
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Gradio would fetch files of the internet for whoever asks, by the first two and in JSON. The
# others are tools for whoever makes a page; the first of them keeps what it is sent.
_CLOSED = re.compile(
    r"/(file=/*https?:|proxy=|process_recording|(undo-)?vibe-|run-history)", re.IGNORECASE
)


class Guard:
    """Middleware that refuses requests that are too large, those for files of other servers, and
    what other sites would send by a visitor's browser.

    most: bytes of a request.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            refusal = self._by_head(scope["path"], int(headers.get(b"content-length", b"0")))
            if scope["method"] == "POST" and headers.get(b"sec-fetch-site") == b"cross-site":
                refusal = PlainTextResponse("This page takes nothing from other sites.", 403)
            multipart = headers.get(b"content-type", b"").startswith(b"multipart/")  # an upload
            if refusal is None and scope["method"] == "POST" and not multipart:
                content, receive = await self._read(receive)
                refusal = self._by_content(content)
        await (refusal or self.app)(scope, receive, send)

    def _by_head(self, path: str, length: int) -> PlainTextResponse | None:
        if _CLOSED.search(path):
            return PlainTextResponse("This is closed: the page serves its own files alone.", 403)
        if length > self.most:
            return PlainTextResponse(f"This page takes {self.most / 1e6:g} MB at once.", 413)
        return None

    def _by_content(self, content: bytes) -> PlainTextResponse | None:
        try:
            remote = _names_address(json.loads(content or b"null"))
        except ValueError:  # no JSON: gradio refuses it
            remote = False
        except RecursionError:
            remote = True
        if remote:
            return PlainTextResponse("This page takes files that are sent to it alone.", 403)
        return self._by_head("", len(content))

    async def _read(self, receive: Receive) -> tuple[bytes, Receive]:
        """Return the body of a request, as far as it may go, and what gives it out once more."""
        messages: list[Message] = [await receive()]
        size = len(messages[0].get("body", b""))
        while messages[-1].get("more_body") and size <= self.most:
            messages.append(await receive())
            size += len(messages[-1].get("body", b""))
        content = b"".join(message.get("body", b"") for message in messages)

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        return content, again


def _names_address(value: Any) -> bool:
    """Whether JSON holds a file whose path is an address of the internet."""
    if isinstance(value, dict):
        path = value.get("path")
        if isinstance(path, str) and path.strip().lower().startswith(("http:", "https:")):
            return True
        return any(map(_names_address, value.values()))
    return isinstance(value, list) and any(map(_names_address, value))
