"""Measuring memories of keys and values: a small model trained on the spot, its tasks, and what it answers.

Needs `mnemos[torch]`.
"""

from mnemos.errors import MnemosError

try:
    import torch  # noqa: F401
    import transformers  # noqa: F401
except ImportError as gone:
    raise MnemosError("the small models need PyTorch and transformers: pip install 'mnemos[torch]'.") from gone
