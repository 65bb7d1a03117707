"""Mnemos: a memory operating system for AI agents and language models."""

from mnemos.cube import Hit, MemCube, Page, SessionHit
from mnemos.errors import MnemosError
from mnemos.space import Space
from mnemos.system import Mnemos

__version__ = "0.1.0"
__all__ = ["Hit", "MemCube", "Mnemos", "MnemosError", "Page", "SessionHit", "Space", "__version__"]
