"""Whose words a message of an import is: the many names of roles, and those of Mnemos."""

from __future__ import annotations

from typing import Any

USER, ASSISTANT, TOOL, SYSTEM = "user", "assistant", "tool", "system"
NOTE = "note"  # words of a file that somebody keeps: they are nobody's statement about himself, and end none
DOCUMENT = "document"  # words of any other file or page, which may be anybody's
_NAMES = {
    USER: ("user", "human", "you", "prompter"),
    ASSISTANT: ("assistant", "ai", "bot", "model", "chatbot", "gpt", "chatgpt", "claude", "gemini", "bard", "agent", "llm"),
    TOOL: ("tool", "function", "ipython", "tool_result", "tool-result", "observation", "environment"),
    SYSTEM: ("system", "developer"),
}  # fmt: skip
ROLES = {name: role for role, names in _NAMES.items() for name in names}


def known_role(name: Any) -> str | None:
    """Return the role of Mnemos that a product's name of a role means; None for any other name."""
    return ROLES.get(name.strip().casefold()) if isinstance(name, str) else None
