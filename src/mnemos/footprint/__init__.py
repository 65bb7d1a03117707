"""The bytes that a model needs while it trains and runs, and ways to need fewer. Needs the extra mnemos[torch]."""

from mnemos.footprint.attach import attached
from mnemos.footprint.base import Held, Offloader, Planner, Prediction, Rewriter, Saver, Usage
from mnemos.footprint.plan.fit import Chosen, Fit, offload

__all__ = [
    "Chosen", "Fit", "Held", "Offloader", "Planner", "Prediction", "Rewriter", "Saver", "Usage", "attached", "offload",
]  # fmt: skip
