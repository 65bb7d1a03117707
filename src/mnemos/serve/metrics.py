"""Metrics of the server for Prometheus."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds, the default of Prometheus


class Metrics:
    """Request counts by route and status and request durations, in the text format of Prometheus."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: defaultdict[tuple[str, str, int], int] = defaultdict(int)
        self._times: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(EDGES) + 1))
        self._sums: defaultdict[str, float] = defaultdict(float)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        with self._lock:
            self._requests[method, route, status] += 1
            self._times[route][bisect_left(EDGES, seconds)] += 1
            self._sums[route] += seconds

    def render(self, cubes: Sequence[tuple[str, int] | None]) -> str:
        """Return the metrics as text; `cubes` are (space, count) pairs, None for a space that could not be opened."""
        lines = ["# TYPE mnemos_requests_total counter"]
        with self._lock:
            for (method, route, status), n in sorted(self._requests.items()):
                labels = f'method="{method}",route="{_label(route)}",status="{status}"'
                lines.append(f"mnemos_requests_total{{{labels}}} {n}")
            lines.append("# TYPE mnemos_request_seconds histogram")
            for route, counts in sorted(self._times.items()):
                label, total = _label(route), 0
                for edge, n in zip((*map(str, EDGES), "+Inf"), counts, strict=True):
                    total += n
                    lines.append(f'mnemos_request_seconds_bucket{{route="{label}",le="{edge}"}} {total}')
                lines.append(f'mnemos_request_seconds_sum{{route="{label}"}} {self._sums[route]:.6f}')
                lines.append(f'mnemos_request_seconds_count{{route="{label}"}} {total}')
        lines.append("# TYPE mnemos_cubes gauge")
        lines += [f'mnemos_cubes{{space="{_label(space)}"}} {n}' for space, n in filter(None, cubes)]
        lines += ["# TYPE mnemos_spaces_unreadable gauge", f"mnemos_spaces_unreadable {cubes.count(None)}"]
        return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
