"""The name under which Mnemos is installed: `mnemos-os` on the package index, where `mnemos` is another project's."""

from __future__ import annotations

DISTRIBUTION = "mnemos-os"  # what pip installs; what Python imports is `mnemos`


def install_command(extra: str | None = None) -> str:
    """Return the command that installs Mnemos, with the packages of an extra: "pip install 'mnemos-os[torch]'"."""
    return f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install {DISTRIBUTION}"


def upgrade_command() -> str:
    """Return the command that installs the newest version."""
    return f"pip install -U {DISTRIBUTION}"
