"""Activation memory: a transformer's keys and values as memory. Needs `mnemos-os[torch]`."""

from mnemos.distribution import install_command
from mnemos.errors import MnemosError

try:
    import torch  # noqa: F401
    import transformers  # noqa: F401
except ImportError as missing:
    raise MnemosError(f"activation memory needs PyTorch and transformers: {install_command('torch')}.") from missing

from mnemos.activation.attach import attached
from mnemos.activation.cache import MemoryCache, read
from mnemos.activation.method import CacheMethod

__all__ = ["CacheMethod", "MemoryCache", "attached", "read"]
