"""Prompts by templates, in the five families of self-study (arXiv 2506.06266), and others of the same meaning to ask with.

`{who}` said something, `{when}` ("on 2 March 2024", or nothing), about `{cue}`: words of the sentence, without which one
prompt would have many answers. `{name}`, `{what}` and `{verb}` are of a fact. Each family has prompts to learn with and
prompts that are only asked: paraphrases that take no part in training.
"""

from __future__ import annotations

LEARNED: dict[str, tuple[str, ...]] = {
    "structuring": ("Notes on {cue}, from what {who} said{when}:\n-",),
    "summary": ("In a sentence, what did {who} say{when} about {cue}?",),
    "question": ("Question: What did {who} say{when} about {cue}?\nAnswer:",),
    "use case": ("Before talking to {who} about {cue}, one should know:",),
    "creative": ("A diary of {who}, with the entry{when} on {cue}:",),
}
ASKED: dict[str, tuple[str, ...]] = {
    "structuring": ("A list of what {who} mentioned{when} concerning {cue}:\n-",),
    "summary": ("Summarise briefly what {who} told us{when} about {cue}.",),
    "question": ("Question: About {cue}, what was it that {who} told{when}?\nAnswer:",),
    "use case": ("For a talk with {who} on {cue}, keep in mind:",),
    "creative": ("A letter in which {who} writes{when} of {cue}:",),
}
PLACE_LEARNED = (
    "Question: Where does {name} {verb}?\nAnswer:",
    "{name} {verb_s} {preposition}",
    "Question: In what place does {name} {verb}?\nAnswer:",
)
PLACE_ASKED = (
    "Question: What is the place where {name} {verb_s}?\nAnswer:",
    "The place where {name} {verb_s} is",
)
DOING_LEARNED = (
    "Question: What does {name} {what}?\nAnswer:",
    "What {name} {whats} is",
    "Question: Name what it is that {name} {whats}.\nAnswer:",
)
DOING_ASKED = ("Question: Do you know what {name} {whats}?\nAnswer:", "The thing that {name} {whats} is")
HAVING_LEARNED = (
    "Question: What is {name}'s {what}?\nAnswer:",
    "{name}'s {what} is",
    "Question: Tell me the {what} of {name}.\nAnswer:",
)
HAVING_ASKED = ("Question: Do you know {name}'s {what}?\nAnswer:", "The {what} of {name} is")
PREPOSITIONS = {"in", "at", "near", "from"}  # after which a place follows
VERBS = frozenset(  # attributes that begin with one of these are something that one does
    """live work study play like love prefer drive own use speak eat drink read teach train hate enjoy collect practise
    practice""".split()  # noqa: SIM905
)


def with_s(verb: str) -> str:
    """Return the third person of a verb."""
    if verb.endswith(("s", "sh", "ch", "x", "o")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if verb.endswith("y") and verb[-2:-1] not in "aeiou" else f"{verb}s"


def of_attribute(attribute: str, asked: bool) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the prompts for an attribute such as "live in" or "favourite color", and what fills them in."""
    first, *rest = attribute.split()
    last = rest[-1] if rest else ""
    if first in VERBS and last in PREPOSITIONS:
        words = {"verb": " ".join((first, *rest[:-1])), "preposition": last}
        words["verb_s"] = " ".join((with_s(first), *rest[:-1]))
        return (PLACE_ASKED if asked else PLACE_LEARNED), words
    if first in VERBS:
        return (DOING_ASKED if asked else DOING_LEARNED), {"what": attribute, "whats": " ".join((with_s(first), *rest))}
    return (HAVING_ASKED if asked else HAVING_LEARNED), {"what": attribute}
