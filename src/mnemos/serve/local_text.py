"""Text of generated tokens as it grows: whole characters only, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Callable, Sequence

BROKEN = "�"  # what an unfinished character is decoded to
WINDOW = 6  # tokens decoded again before the new ones, which some tokenizers write differently at the start of a text


class TextStream:
    """Turns tokens into pieces of text. `decode` turns tokens into a text."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str] = ()) -> None:
        self.decode = decode
        self.stops = tuple(stop for stop in stops if stop)
        self.tokens: list[int] = []
        self.stopped = False  # whether a stop string was found
        self._done = 0  # tokens whose text has been taken
        self._pending = ""  # text that may be the beginning of a stop string

    def add(self, token: int) -> str:
        """Return the text that is certain after one more token; it may be empty."""
        self.tokens.append(token)
        text = self._new()
        if text.endswith(BROKEN):
            return ""
        self._done = len(self.tokens)
        return self._released(text)

    def end(self) -> str:
        """Return the text that was held back, after the last token."""
        if self.stopped:
            return ""
        text = self._new()
        self._done = len(self.tokens)
        return self._released(text) + self._take_pending()

    def _new(self) -> str:
        """Return the text of the tokens that have not been taken."""
        first = max(0, self._done - WINDOW)
        before = self.decode(self.tokens[first : self._done])
        return self.decode(self.tokens[first:])[len(before) :]

    def _released(self, text: str) -> str:
        """Return what can be shown of the pending and the new text; the rest is pending."""
        whole = self._pending + text
        found = [at for stop in self.stops if (at := whole.find(stop)) >= 0]
        if found:
            self.stopped, self._pending = True, ""
            return whole[: min(found)]
        kept = max((n for stop in self.stops for n in range(1, len(stop)) if whole.endswith(stop[:n])), default=0)
        self._pending = whole[len(whole) - kept :]
        return whole[: len(whole) - kept]

    def _take_pending(self) -> str:
        text, self._pending = self._pending, ""
        return text
