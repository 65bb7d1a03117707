"""The corpus of a space: words, vectors and the shape of the conversation, by position."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnemos.embed.languages import language_of_terms
from mnemos.index.exact import ExactIndex
from mnemos.index.growing import Growing
from mnemos.index.lexical import LexicalIndex, WordIndex
from mnemos.index.terms import terms
from mnemos.store.values import DERIVED, IndexRow
from mnemos.text.recall.layout import Layout
from mnemos.text.recall.postings import TermCache

T = TypeVar("T", np.int32, np.int64, np.float32, np.bool_)
Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]
NEVER = np.iinfo(np.int64).max  # when a version that is current was replaced
MANY = 256  # changes at once from which the layout is made again instead of being changed: 0.1 ms each
_NUMBER = re.compile(r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|once|twice|dozen|hundred|thousand)\b")


@dataclass(frozen=True, slots=True)
class Known:
    """What all cubes that are alive have in common."""

    speakers: Mapping[str, int]  # their numbers by name
    spoken: Sequence[int]  # cubes of each speaker, by number
    languages: Mapping[str, int]  # cubes by language
    roles: bool  # whether any cube was said by a user or an assistant


class Corpus:
    """The cubes of a space by position, in the order of their keys. It grows by `add`; `remove` leaves holes.

    Everything that a search needs is kept in step by both, in time that does not depend on N for a few cubes: arrays
    grow in place, and the layout is changed where the new cubes are.
    """

    def __init__(self, words: WordIndex | None = None, vectors: ExactIndex | None = None) -> None:
        self.words: WordIndex = LexicalIndex() if words is None else words
        self.vectors = ExactIndex() if vectors is None else vectors
        self._columns: dict[str, Growing[Any]] = {}
        self.keys = self._column("keys", np.int64)
        self.alive = self._column("alive", np.bool_)
        self.superseded = self._column("superseded", np.bool_)
        self.archived = self._column("archived", np.bool_)
        self.derived = self._column("derived", np.bool_)
        self.at = self._column("at", np.int64)  # when each cube happened, in microseconds since 1970
        self.learned = self._column("learned", np.int64)  # when each version was written,
        self.replaced = self._column("replaced", np.int64)  # and when it was replaced
        self._session = self._column("session", np.int32)
        self.speaker = self._column("speaker", np.int32)
        self.user = self._column("user", np.bool_)
        self.assistant = self._column("assistant", np.bool_)  # turns of an assistant, not its notes
        self.question = self._column("question", np.float32)
        self.number = self._column("number", np.float32)
        self.dated = self._column("dated", np.float32)
        self._language = self._column("language", np.int32)
        self._spans = Growing(np.zeros(0, dtype=np.int64))  # position, start and end of each date mentioned
        self.count = 0  # cubes that are alive
        self._sessions: dict[str, int] = {}
        self.session_names: list[str | None] = []
        self._speakers: dict[str, int] = {}
        self.speaker_terms: list[frozenset[str]] = []
        self._languages: dict[str, int] = {}
        self._layout: Layout | None = None
        self._known: Known | None = None
        self._spoken = np.zeros(0, dtype=np.int64)  # cubes that are alive by speaker,
        self._said = np.zeros(0, dtype=np.int64)  # by language,
        self._roles = 0  # and of users and assistants
        self.terms = TermCache()  # valid until a change

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def speakers(self) -> Mapping[str, int]:
        """The speakers of the cubes that are alive: their numbers by name, in the order of numbers."""
        return self.known().speakers

    @property
    def has_roles(self) -> bool:
        """Whether any cube was said by a user or an assistant."""
        return self.known().roles

    def fluency(self, of: Callable[[str], float]) -> float:
        """Return how well an embedder knows the languages of the texts, 0 to 1, from what it knows `of` each."""
        counts = self.known().languages
        return sum(of(language) * count for language, count in counts.items()) / max(sum(counts.values()), 1)

    def known(self) -> Known:
        """Return who speaks in the cubes that are alive, in which languages and roles. O(N) after a change."""
        if self._known is None:
            spoken, languages = self._spoken.tolist(), self._said.tolist()
            self._known = Known(
                {name: i for name, i in self._speakers.items() if spoken[i]},
                spoken,
                {name: languages[i] for name, i in self._languages.items() if languages[i]},
                self._roles > 0,
            )
        return self._known

    def _tally(self, positions: Longs, by: int) -> None:
        """Count cubes in or out of what is known."""
        self._known, self.terms = None, TermCache()
        self.count += by * len(positions)
        self._spoken = _plus(self._spoken, self.speaker[positions], by, len(self._speakers))
        self._said = _plus(self._said, self._language[positions], by, len(self._languages))
        self._roles += by * int(np.count_nonzero(self.user[positions] | self.assistant[positions]))

    def named_speaker(self, question: str) -> str | None:
        """Return the one speaker whom a question names; None where it names none, several, or all there are."""
        said = frozenset(terms(question))
        named = [name for name, i in self.speakers.items() if self.speaker_terms[i] & said]
        return named[0] if len(named) == 1 < len(self.speakers) else None

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        layout = 0 if self._layout is None else self._layout.nbytes + 8 * self.terms.size
        columns = sum(column.array.nbytes for column in self._columns.values())
        return self.words.nbytes + self.vectors.nbytes + columns + self._spans.array.nbytes + layout

    def add(self, rows: Sequence[IndexRow]) -> None:
        """Append rows with keys above all others; those that are not searched as holes. O(terms), about 20 us a row."""
        if not rows:
            return
        start = len(self)
        self.words.add(r.terms for r in rows)
        self.vectors.add([r.vector for r in rows])
        self.keys = self._extended("keys", [r.key for r in rows])
        self.alive = self._extended("alive", [r.searched for r in rows])
        self.superseded = self._extended("superseded", [r.superseded for r in rows])
        self.archived = self._extended("archived", [r.archived for r in rows])
        self.derived = self._extended("derived", [r.kind in DERIVED for r in rows])
        self.at = self._extended("at", [r.at for r in rows])
        self.learned = self._extended("learned", [r.learned for r in rows])
        replaced = [NEVER if r.replaced is None else r.replaced for r in rows]
        self.replaced = self._extended("replaced", replaced)
        self._session = self._extended("session", [self._session_number(r.session) for r in rows])
        self.speaker = self._extended("speaker", [self._speaker_number(r.speaker) for r in rows])
        self.user = self._extended("user", [r.role == "user" for r in rows])
        assistant = [r.role == "assistant" and r.kind == "turn" for r in rows]
        self.assistant = self._extended("assistant", assistant)
        self.question = self._extended("question", ["?" in r.text[-60:] for r in rows])
        numbers = [_NUMBER.search(r.text) is not None for r in rows]
        self.number = self._extended("number", numbers)
        self.dated = self._extended("dated", [bool(r.dates) for r in rows])
        languages = [self._languages.setdefault(language_of_terms(r.terms), len(self._languages)) for r in rows]
        self._language = self._extended("language", languages)
        self._spans.extend([x for i, r in enumerate(rows, start) for span in r.dates for x in (i, *span)])
        self._take_up(start)

    def _take_up(self, start: int) -> None:
        """Bring what is derived from the rows in step with those from `start` on."""
        self._tally(start + np.flatnonzero(self.alive[start:]), 1)
        if self._layout is not None:
            new = (start + np.flatnonzero(self.alive[start:] & ~self.derived[start:])).tolist()
            self._layout.grow(self.at, self.words.lengths(start))
            if len(new) > MANY or not self._layout.insert(new, self._session[new]):
                self._layout = None

    def revise(self, rows: Sequence[IndexRow]) -> bool:
        """Take up the state of rows that are there; False when one is not, or has other words, dates or vectors."""
        positions = self.positions_of(np.array([r.key for r in rows], dtype=np.int64))
        if not all(p >= 0 and self._holds(p, r) for p, r in zip(positions.tolist(), rows, strict=True)):
            return False
        self.superseded[positions] = [r.superseded for r in rows]
        self.archived[positions] = [r.archived for r in rows]
        self.replaced[positions] = [NEVER if r.replaced is None else r.replaced for r in rows]
        searched = np.array([r.searched for r in rows], dtype=bool)
        self._set_alive(positions[~searched], alive=False)
        self._set_alive(positions[searched], alive=True)
        return True

    def _holds(self, position: int, row: IndexRow) -> bool:
        spans = self.spans()
        start, stop = np.searchsorted(spans[:, 0], [position, position + 1])
        dates = [tuple(span) for span in spans[start:stop, 1:].tolist()]
        return (
            dates == list(row.dates)
            and self.words.holds(position, row.terms)
            and self.vectors.holds(position, row.vector)
        )

    def remove(self, keys: Sequence[int]) -> None:
        """Remove the rows with these keys and overwrite their words and vectors; unknown keys are ignored.

        O(vocabulary): 20 ms for 50,000 words.
        """
        positions = np.unique(self.positions(np.array(keys, dtype=np.int64)))
        if not len(positions):
            return
        self._set_alive(positions, alive=False)
        self.replaced[positions] = self.learned[positions]  # nobody believed it at any time
        self._session[positions] = self.speaker[positions] = -1
        self.words.purge(positions.tolist())
        self.vectors.purge(positions)
        spans = self.spans()
        self._spans = Growing(spans[~np.isin(spans[:, 0], positions)].ravel())

    def _set_alive(self, positions: Longs, *, alive: bool) -> None:
        positions = positions[self.alive[positions] != alive]
        if not len(positions):
            return
        self.alive[positions] = alive
        self._tally(positions, 1 if alive else -1)
        if self._layout is not None:
            turns = positions[~self.derived[positions]].tolist()
            change = self._layout.insert if alive else self._layout.remove
            if len(turns) > MANY or not change(turns, self._session[turns]):
                self._layout = None

    def believed(self, as_of: int) -> Corpus:
        """Return the corpus of the versions that were current at a moment. O(N).

        It shares everything but what is alive, so that it is valid until this one changes.
        """
        other, alive = copy.copy(self), (self.learned <= as_of) & (as_of < self.replaced)
        other.alive, other.count, other._roles, other._layout = alive, 0, 0, None
        other._spoken, other._said = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        other._tally(np.flatnonzero(alive), 1)
        return other

    def sessions_of(self, person: int) -> tuple[Bools, float]:
        """Return in which sessions a speaker takes part, (S + 1,), the last for "none", and the share of cubes in them."""
        session = self.layout().session
        inside = np.zeros(len(self.session_names) + 1, dtype=bool)
        inside[session[(self.speaker == person) & self.alive]] = True
        inside[-1] = False
        return inside, int(np.count_nonzero(inside[session])) / max(self.count, 1)

    def mean(self, near: Floats, places: int) -> float:
        """Return the mean, over the cubes that are alive, of what stands near each, (N,), in so many places."""
        return float(near.mean() if self.count == len(self) else near[self.alive].mean())

    def spread(self, query: NDArray[np.floating]) -> tuple[float, float] | None:
        """Return mean and deviation of the cosines with all cubes, where this is an excerpt: its own would tell nothing."""
        return None

    def centre(self) -> Floats | None:
        """Return the mean vector of all cubes, (D,), where this is an excerpt."""
        return None

    def positions(self, keys: Longs) -> Longs:
        """Return the positions of those keys that exist, in the order of the keys."""
        found = self.positions_of(keys)
        return found[found >= 0]

    def positions_of(self, keys: Longs) -> Longs:
        """Return the position of each key, (len(keys),); -1 for one that does not exist."""
        if not len(self):
            return np.full(len(keys), -1, dtype=np.int64)
        found = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        return np.where(self.keys[found] == keys, found, -1)

    def spans(self) -> Longs:
        """Return (position, start, end) of each date that a text mentions, (M, 3)."""
        return self._spans.array.reshape(-1, 3)

    def layout(self) -> Layout:
        """Return the shape of the conversation, in step with the rows; made in O(N log N): 15 ms for 100,000."""
        if self._layout is None:
            originals = self.alive & ~self.derived  # derived cubes are not turns
            self._layout = Layout(self.at, self._session, originals, self.words.lengths())
        return self._layout

    def _session_number(self, name: str | None) -> int:
        if name is None:
            return -1
        if name not in self._sessions:
            self._sessions[name] = len(self.session_names)
            self.session_names.append(name)
        return self._sessions[name]

    def _speaker_number(self, name: str | None) -> int:
        if name is None:
            return -1
        if name not in self._speakers:
            self._speakers[name] = len(self._speakers)
            self.speaker_terms.append(frozenset(terms(name)))
        return self._speakers[name]

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return what is held of the rows beside words and vectors, by name: with `names` all that `fill` needs."""
        return {name: column.array for name, column in self._columns.items()} | {"spans": self._spans.array}

    def names(self) -> dict[str, Any]:
        """Return the names of sessions, speakers and languages by number, as JSON; one that no cube has is None."""
        sessions, speakers = ({*numbers.tolist()} for numbers in (self._session, self.speaker))
        return {
            "sessions": [name if i in sessions else None for i, name in enumerate(self.session_names)],
            "speakers": [name if i in speakers else None for i, name in enumerate(self._speakers)],
            "languages": list(self._languages),
        }

    def fill(self, columns: Mapping[str, NDArray[Any]], names: Mapping[str, Any]) -> None:
        """Take over rows whose words and vectors are there."""
        for name, column in self._columns.items():
            column.extend(columns[name])
        for name in ("keys", "alive", "superseded", "archived", "derived", "at", "learned", "replaced", "speaker", "user",
                     "assistant", "question", "number", "dated"):  # fmt: skip
            setattr(self, name, self._columns[name].array)
        self._session, self._language = self._columns["session"].array, self._columns["language"].array
        self._spans.extend(columns["spans"])
        for i, session in enumerate(names["sessions"]):
            self._session_number(f"\0{i}" if session is None else session)
        for i, speaker in enumerate(names["speakers"]):
            self._speaker_number(f"\0{i}" if speaker is None else speaker)
        self._languages = {name: i for i, name in enumerate(names["languages"])}
        self._tally(np.flatnonzero(self.alive), 1)

    def _column(self, name: str, kind: type[T]) -> NDArray[T]:
        self._columns[name] = Growing(np.zeros(0, dtype=kind))
        return np.zeros(0, dtype=kind)

    def _extended(self, name: str, values: ArrayLike) -> NDArray[Any]:
        return self._columns[name].extend(values)


def _plus(counts: Longs, numbers: Ints, by: int, most: int) -> Longs:
    """Return counts, one for each of `most` numbers, with some numbers counted in or out; -1 is none."""
    wider = np.zeros(most, dtype=np.int64)
    wider[: len(counts)] = counts
    found = numbers[numbers >= 0]
    return wider + by * np.bincount(found, minlength=most)
