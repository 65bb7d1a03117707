"""Figures of benchmark results. matplotlib draws them, to a file and without a screen."""

from __future__ import annotations

import importlib
from typing import Any

from mnemos.distribution import install_command
from mnemos.errors import MnemosError

GREY = "#8c8c8c"
BLUE, SKY, GREEN, VERMILION, PINK, ORANGE, BROWN = (
    "#0072b2", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#7f5f3f",
)  # fmt: skip
PALETTE = (BLUE, SKY, GREEN, VERMILION, PINK, ORANGE, BROWN, "#5f5f5f")


def new_figure(width: float, height: float) -> Any:
    """Return an empty figure, in inches, that draws without a screen. Raises MnemosError without matplotlib."""
    try:
        figure = importlib.import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
        importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    except ImportError as error:
        raise MnemosError(f"figures need matplotlib: {install_command('bench')}.") from error
    return figure


def tidy(axis: Any) -> None:
    """Remove lines that carry no information."""
    axis.grid(axis="y", color=GREY, alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
