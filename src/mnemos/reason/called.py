"""What somebody wants to be called: "Please call me Kit", "I go by Sasha", "Everybody calls me Bo"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mnemos.facts import Fact

_NAME = r"(?P<name>[^\W\d_a-z][\w'\u2019-]+(?: (?!I\b)[^\W\d_a-z][\w'\u2019-]+){0,2})"
_CALLED = re.compile(
    r"(?:^|[,;:.!\u2014-]\s*|\b(?i:and|but|so|please|just|can|may|also|everyone|everybody|people|they|they all|friends)\s)"
    rf"(?i:calls? me|I(?: usually| mostly| now| also)? (?:go by|answer to)) {_NAME}"
)
_NO_NAME = re.compile(
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day|to(?:morrow|day|night)|back|later|when|if|at|on|after|bus|train|tram|car|bike|taxi",
    re.IGNORECASE,
)
_NOT = re.compile(r"(?:n['\u2019]t|\bnot|\bnever|\bused to|\bwould|\bif|\bwhen|\btold me to)\b[\w ]*$", re.IGNORECASE)


def called(sentence: str, me: str) -> Iterator[Fact]:
    """Yield what the speaker says that he is called: one more name, which ends no other."""
    for match in _CALLED.finditer(sentence):
        if not _NO_NAME.match(match["name"]) and not _NOT.search(sentence[: match.start("name")].rpartition(" me ")[0]):
            yield Fact(me, "name", match["name"], False, False, match.start("name"), match.end("name"))
