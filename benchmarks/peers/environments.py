"""An environment of its own for every peer, with its versions pinned: `python -m benchmarks.peers.environments FOLDER`.

Peers pin what others need in another version, so each is installed beside Mnemos in a virtual environment of its own:
FOLDER/NAME. `python -m benchmarks peers-locomo --environments FOLDER` runs every system with the Python of its environment.
Only peers are here that install from PyPI and store and search without a key, a server or a model of their own.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from mnemos.bench.registry import near
from mnemos.errors import InvalidInput

ROOT = Path(__file__).parents[2]  # of the repository
PINS = {
    "mem0": ("mem0ai==2.2.1",),
    "chroma": ("chromadb==1.5.9",),
    "langmem": ("langmem==0.0.30", "langgraph==1.2.22"),
    "engrava": ("engrava==0.7.2",),
    "llamaindex": ("llama-index-core==0.14.25",),
    "mcp-memory-service": ("mcp-memory-service==12.4.0",),
}


def python(folder: Path, name: str) -> Path:
    """Return the Python of an environment. Raises InvalidInput where it was not made."""
    path = folder / name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not path.exists():
        raise InvalidInput(f"{path} does not exist: run python -m benchmarks.peers.environments {folder} {name}")
    return path


def install(folder: Path, name: str) -> None:
    """Make an environment with a peer and Mnemos, some hundred megabytes. Raises InvalidInput for an unknown name."""
    if name not in PINS:
        raise InvalidInput(f"there is no peer {name!r}: {near(name, PINS)}")
    venv.create(folder / name, with_pip=True)
    subprocess.run([python(folder, name), "-m", "pip", "install", "-q", str(ROOT), *PINS[name]], check=True)


if __name__ == "__main__":
    for peer in sys.argv[2:] or PINS:
        install(Path(sys.argv[1]), peer)
