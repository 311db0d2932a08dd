"""A Hugging Face hub on this machine: what the real client asks of it, and how it can fail.

Large files (*.safetensors) are stored by their sha256 and served from another host name, as from
the real hub: a redirect, byte ranges and no token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml

TOKEN = "hf_secret"  # of the only account, "me"


@dataclass(eq=False)
class Refusal(Exception):
    status: int
    code: str = ""


@dataclass
class Repo:
    commits: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"0" * 40: {}})
    refs: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})
    private: bool = False

    def commit(self, files: dict[str, bytes], *, to: str = "main") -> str:
        """Add files, or replace them; return the commit's id."""
        content = {**self.commits[self.refs[to]], **files}
        name = hashlib.sha1(repr(sorted(content.items())).encode()).hexdigest()
        self.commits[name], self.refs[to] = content, name
        return name

    def upload(self, folder: Path) -> str:
        return self.commit({file.name: file.read_bytes() for file in folder.iterdir()})

    @property
    def files(self) -> dict[str, bytes]:
        return self.commits[self.refs["main"]]


@dataclass
class Hub:
    """Repositories by name, and faults for the next downloads of large files."""

    repos: dict[str, Repo] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)  # uploaded large files by sha256
    requests: list[str] = field(default_factory=list)
    url: str = ""
    cuts: list[int] = field(default_factory=list)  # answers that end after so many bytes
    altered: bool = False  # another byte than the sha256 promises
    shortened: bool = False  # the last byte is missing
    seconds: float = 0.0  # before a large file is sent
    refusal: Refusal | None = None  # the answer to everything

    def repo(self, name: str = "me/toy", *, private: bool = False) -> Repo:
        return self.repos.setdefault(name, Repo(private=private))

    def asked(self, pattern: str) -> list[str]:
        return [request for request in self.requests if re.search(pattern, request)]


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_HEAD(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path} {self.headers.get('Range', '')}".strip())
        try:
            if self.hub.refusal:
                raise self.hub.refusal
            for pattern, method in ROUTES.items():
                if match := re.fullmatch(pattern, f"{self.command} {path}"):
                    return method(self, *match.groups(), body=body)
            raise Refusal(404)
        except Refusal as refusal:
            self.answer(refusal.status, headers={"X-Error-Code": refusal.code})

    do_GET = do_POST = do_PUT = do_HEAD

    def find(self, name: str, revision: str = "main") -> tuple[Repo, str]:
        """The repository and the commit, or the hub's refusal."""
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and not known):
            raise Refusal(404 if known else 401, "RepoNotFound")
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            raise Refusal(404, "RevisionNotFound")
        return repo, commit

    def resolve(self, name: str, revision: str, file: str, *, body: bytes) -> None:
        repo, commit = self.find(name, revision)
        headers = {"X-Repo-Commit": commit}
        if file not in repo.commits[commit]:
            return self.answer(404, headers={**headers, "X-Error-Code": "EntryNotFound"})
        content = repo.commits[commit][file]
        if not file.endswith(".safetensors"):
            return self.answer(200, content, {**headers, "ETag": f'"{git_blob(content)}"'})
        oid = sha256(content)
        self.hub.stored[oid] = content
        headers |= {"X-Linked-ETag": f'"{oid}"', "X-Linked-Size": str(len(content))}
        elsewhere = self.hub.url.replace("127.0.0.1", "localhost")
        self.answer(302, headers={**headers, "Location": f"{elsewhere}/cdn/{oid}"})

    def cdn(self, oid: str, *, body: bytes) -> None:
        if self.headers.get("Authorization"):
            raise Refusal(400, "a token for a stranger")
        content = self.hub.stored[oid]
        time.sleep(self.hub.seconds if self.command == "GET" else 0)
        if self.hub.altered:
            content = content[:-1] + bytes([content[-1] ^ 1])
        content = content[: -1 if self.hub.shortened else None]
        ranged = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(ranged[1]) if ranged else 0
        span = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        cut = self.hub.cuts.pop(0) if self.command == "GET" and self.hub.cuts else None
        status, headers = (206, span) if ranged else (200, {})
        self.answer(status, content[start:], headers, cut=cut)

    def refs(self, name: str, *, body: bytes) -> None:
        repo, _ = self.find(name)
        known = [{"name": n, "ref": n, "targetCommit": commit} for n, commit in repo.refs.items()]
        self.tell({"branches": known, "converts": [], "tags": []})

    def info(self, name: str, revision: str | None = None, *, body: bytes) -> None:
        _, commit = self.find(name, revision or "main")
        self.tell({"id": name, "sha": commit, "xetEnabled": False, "tags": []})

    def create(self, *, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization')}/{asked['name']}"
        known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if not known or asked.get("organization") != "me":
            raise Refusal(403 if known else 401)
        status = 409 if name in self.hub.repos else 200
        hidden = asked.get("private") is True or asked.get("visibility") == "private"
        self.hub.repo(name, private=hidden)
        self.tell({"url": f"{self.hub.url}/{name}"}, status)

    def branch(self, name: str, branch: str, *, body: bytes) -> None:
        repo, _ = self.find(name)
        status = 409 if branch in repo.refs else 201
        repo.refs.setdefault(branch, repo.refs["main"])
        self.tell({}, status)

    def check_card(self, *, body: bytes) -> None:
        head = json.loads(body)["content"].split("---")[1]
        self.tell({"errors": []}, 200 if yaml.safe_load(head).get("library_name") else 400)

    def preupload(self, name: str, revision: str, *, body: bytes) -> None:
        repo, commit = self.find(name, revision)
        files = []
        for file in (asked["path"] for asked in json.loads(body)["files"]):
            content = repo.commits[commit].get(file)
            large = file.endswith(".safetensors")
            mode, digest = ("lfs", sha256) if large else ("regular", git_blob)
            oid = None if content is None else digest(content)
            files.append({"path": file, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        self.tell({"files": files})

    def lfs_batch(self, name: str, *, body: bytes) -> None:
        objects = json.loads(body)["objects"]
        for entry in objects:
            if entry["oid"] not in self.hub.stored:
                entry["actions"] = {"upload": {"href": f"{self.hub.url}/store/{entry['oid']}"}}
        self.tell({"objects": objects, "transfer": "basic"})

    def store(self, oid: str, *, body: bytes) -> None:
        if sha256(body) != oid:
            raise Refusal(400)
        self.hub.stored[oid] = body
        self.answer(200)

    def commit(self, name: str, revision: str, *, body: bytes) -> None:
        repo, _ = self.find(name, revision)
        files = {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.stored[value["oid"]]
        commit = repo.commit(files, to=revision)
        self.tell({"commitUrl": f"{self.hub.url}/{name}/commit/{commit}", "commitOid": commit})

    def tell(self, value: Any, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def answer(
        self, status: int, content: bytes = b"", headers: Any = (), *, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:cut])

    def log_message(self, *arguments: object) -> None:
        """Keep the test output clean."""


ROUTES: dict[str, Any] = {
    r"(?:HEAD|GET) /([\w-]+/[\w.-]+)/resolve/([^/]+)/(.+)": Handler.resolve,
    r"(?:HEAD|GET) /cdn/(\w+)": Handler.cdn,
    r"GET /api/models/(\w+/[\w.-]+)/refs": Handler.refs,
    r"GET /api/models/(\w+/[\w.-]+)(?:/revision/(.+))?": Handler.info,
    r"POST /api/repos/create": Handler.create,
    r"POST /api/models/(\w+/[\w.-]+)/branch/(.+)": Handler.branch,
    r"POST /api/validate-yaml": Handler.check_card,
    r"POST /api/models/(\w+/[\w.-]+)/preupload/(.+)": Handler.preupload,
    r"POST /(\w+/[\w.-]+)\.git/info/lfs/objects/batch": Handler.lfs_batch,
    r"PUT /store/(\w+)": Handler.store,
    r"POST /api/models/(\w+/[\w.-]+)/commit/(.+)": Handler.commit,
}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve a hub without repositories on a port of 127.0.0.1."""
    hub = Hub()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"hub": hub})) as http:
        hub.url = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield hub
        http.shutdown()
