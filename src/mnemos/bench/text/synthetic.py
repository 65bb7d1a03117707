"""Synthetic conversation of any length, for measuring speed: seeded, without foreign data.

Words follow Zipf's law (about the exponent of English) over function words and invented content words, turns are about
as long as real ones (16 words in the median, a long tail), and every ninth speaks of a day. Use it for time and size
only: it says nothing about quality.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

SPEAKERS = ("Ana", "Bo", "Carla", "Dev")
TIMES = ("yesterday", "last week", "last Friday", "two weeks ago", "next month", "in May", "this morning", "on Sunday")
COMMON = (
    "the i to and you a it of that in is my for was on with we so me have but at be this not are your just what all do "
    "about they had like can up there out if how when she he get from or would as been them some really an will go more"
)
FUNCTION_WORDS = COMMON.split()
ONSETS = ("b", "br", "c", "ch", "d", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl", "r", "s", "st", "t")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "ou")
CODAS = ("", "", "n", "r", "l", "t", "s", "m", "nd", "ck")
START = datetime(2023, 1, 2, 9, 0, tzinfo=UTC)
TURNS_A_SESSION = 24


def vocabulary(size: int, rng: np.random.Generator) -> list[str]:
    """Return `size` different words, the commonest first: function words, then invented ones of 1 to 3 syllables."""
    words = dict.fromkeys(FUNCTION_WORDS)
    while len(words) < size:
        syllables = rng.integers(1, 4) if len(words) < 2_000 else rng.integers(2, 4)
        words["".join(rng.choice(part) for _ in range(syllables) for part in (ONSETS, VOWELS, CODAS))] = None
    return list(words)[:size]


class Corpus:
    """The vocabulary and its frequencies; `messages` and `queries` draw from it, the same ones for the same seed."""

    def __init__(self, seed: int = 0, words: int = 20_000, exponent: float = 1.05) -> None:
        self.seed = seed
        self.words = vocabulary(words, np.random.default_rng(seed))
        weights = 1 / np.arange(1, words + 1) ** exponent
        self.cumulative = np.cumsum(weights) / weights.sum()

    def messages(self, count: int) -> Iterator[dict[str, Any]]:
        """Yield `count` messages in the order of time: sessions of 24 turns, two days apart."""
        rng = np.random.default_rng([self.seed, 1])
        for i in range(count):
            session, turn = divmod(i, TURNS_A_SESSION)
            length = int(np.clip(rng.lognormal(2.8, 0.6), 3, 120))
            text = " ".join(self.draw(rng, length))
            if i % 9 == 0:
                text = f"{text} {TIMES[int(rng.integers(len(TIMES)))]}"
            yield {
                "id": f"m{i}",
                "content": text.capitalize() + ".",
                "speaker": SPEAKERS[int(rng.integers(len(SPEAKERS)))],
                "session": f"session-{session}",
                "at": START + timedelta(days=2 * session, minutes=turn),
            }

    def queries(self, count: int) -> list[str]:
        """Return `count` different questions: a speaker and three to seven content words, rare ones included."""
        rng = np.random.default_rng([self.seed, 2])
        questions = []
        for i in range(count):
            words = self.draw(rng, int(rng.integers(3, 8)), least=self.cumulative[len(FUNCTION_WORDS) - 1])
            questions.append(f"What did {SPEAKERS[i % len(SPEAKERS)]} say about {' '.join(words)}?")
        return questions

    def draw(self, rng: np.random.Generator, count: int, least: float = 0.0) -> list[str]:
        """Return `count` words by their frequency; `least` leaves out the commonest words with that share of all."""
        places = np.searchsorted(self.cumulative, rng.uniform(least, 1.0, count), side="right")
        return [self.words[place] for place in np.minimum(places, len(self.words) - 1)]
