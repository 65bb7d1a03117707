"""The synthetic tokens of the KV tasks: every id has a role, and no meaning beyond its positions."""

from __future__ import annotations

from collections.abc import Iterable

PAD, BOS, EOS = 0, 1, 2
PERIOD = 3  # ends a sentence
MARKER = 4  # stands before a passkey, and asks for it
KEYS = range(5, 37)
VALUES = range(37, 69)
FILLERS = range(69, 101)
CONTENT = range(KEYS.start, FILLERS.stop)  # the tokens of texts
TOPICS = tuple(FILLERS[i : i + 8] for i in range(0, 32, 8))  # four subjects that share no filler
SIZE = FILLERS.stop

_NAMES = ("<pad>", "<bos>", "<eos>", ".", "?")


def words(ids: Iterable[int]) -> str:
    """Return ids as readable text, such as `<bos> f3 k7 v12 .`: k a key, v a value, f a filler, ? the marker."""
    return " ".join(_word(int(i)) for i in ids)


def _word(i: int) -> str:
    for letter, span in (("k", KEYS), ("v", VALUES), ("f", FILLERS)):
        if i in span:
            return f"{letter}{i - span.start}"
    return _NAMES[i] if 0 <= i < len(_NAMES) else f"<{i}>"
