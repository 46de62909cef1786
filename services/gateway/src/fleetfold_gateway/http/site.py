"""The page: its files, read once."""

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "/index.html"


@dataclass(frozen=True, slots=True)
class File:
    """One file of the page."""

    body: bytes
    etag: str
    media_type: str


def routes() -> list[Route]:
    """One route a file, and `/` for the page itself. What is not there cannot be asked for."""
    found = _files(files("fleetfold_gateway") / "page", "")
    return [_route(path, file) for path, file in {**found, "/": found[INDEX]}.items()]


def _files(folder: Traversable, prefix: str) -> dict[str, File]:
    found: dict[str, File] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        path = f"{prefix}/{entry.name}"
        suffix = entry.name[entry.name.rfind(".") :]
        if entry.is_dir():
            found |= _files(entry, path)
        elif suffix in MEDIA_TYPES:
            body = entry.read_bytes()
            found[path] = File(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"', MEDIA_TYPES[suffix])
    return found


def _route(path: str, file: File) -> Route:
    async def answer(request: Request) -> Response:
        headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(file.body, headers=headers, media_type=file.media_type)

    return Route(path, answer)
