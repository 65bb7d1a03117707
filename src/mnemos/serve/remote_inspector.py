"""A served space seen as a whole: those views of `mnemos.inspect` that the server sends unabridged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

from mnemos.serve import responses
from mnemos.serve.requests import ApiRequest, path_segment, query_string
from mnemos.text.recall.filters import Filters


class RemoteInspector:
    """Views of one served space; of an asynchronous one they are to be awaited. The verbs are those of `Inspector`."""

    def __init__(self, path: str, carry_out: Callable[[Callable[[], ApiRequest[Any]]], Any]) -> None:
        self._path = path
        self._carry_out = carry_out

    def timeline(self, *, by: str = "auto", **filters: Unpack[Filters]) -> Any:
        """Count the cubes that happened in each day, week, month, year or century; see `Inspector.timeline`."""
        return self._get("timeline", responses.timeline, by=by, **filters)

    def newest(self, *, limit: int = 100, cursor: int | None = None, **filters: Unpack[Filters]) -> Any:
        """Return a page of current cubes, the last written first; see `Inspector.newest`."""
        return self._get("cubes", responses.page, limit=limit, cursor=cursor, newest=True, **filters)

    def curve(self, cube_id: str, *, days: float = 90) -> Any:
        """Return the retention of a cube over the next `days` if it is not recalled; see `Inspector.curve`."""
        return self._get(f"cubes/{path_segment(cube_id)}/curve", responses.curve, days=days)

    def sizes(self) -> Any:
        """Return the number and bytes of cubes by form and kind, and the bytes of each part of the file."""
        return self._get("forms", responses.sizes)

    def runs(self, *, limit: int = 20) -> Any:
        """Return the last consolidations that changed something, newest first."""
        return self._get("runs", responses.runs, limit=limit)

    def _get(self, route: str, read: Callable[[Any], Any], **query: Any) -> Any:
        return self._carry_out(lambda: ApiRequest("GET", f"{self._path}/{route}", read, query=query_string(query)))
