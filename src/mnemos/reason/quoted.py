"""Words in a text that are not its author's: quotations, pasted mail, code, drafts and exercises."""

from __future__ import annotations

import re

# fmt: off
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_LINE = re.compile(r"^[ \t]*(?:>|\|).*$", re.MULTILINE)  # lines of a reply
# From here on the text is somebody else's: a forwarded mail, a pasted chat.
_PASTED = re.compile(r"^[ \t>*_-]*(?:Fwd?:|FW:|Begin forwarded message|-{2,}\s*(?:Original|Forwarded) [Mm]essage|"
    r"Forwarded (?:from|message)|\[?(?:pasted|forwarded|copied|quote)\b[^\n\]]{0,40}[\]:]|(?:From|Von|De|To|"
    r"Sent|Subject|Betreff|"
    r"Date):\s\S|On [^\n]{6,80} wrote:|Dear [^\n]{2,60},)", re.MULTILINE)
# What follows the colon is the object of the task, or a role.
_TASK = re.compile(r"\b(?:translat\w+|proof-?read\w*|rephrase|paraphrase|re-?write|correct(?: (?:this|my|the))|"
    r"grammar|"
    r"summari[sz]e|polish|draft\w*|compose|sample|example|template|letter|e-?mail to|essay|story|poem|lyrics?|"
    r"song|novel|"
    r"dialogue|script|role-?play\w*|pretend\w*|act as|play the|persona|practi[sc]\w+|exercise|homework|quote[sd]?|"
    r"review(?: (?:this|my|the))|(?:he|she|they|[A-Z]\w+|mom|mum|dad|boss|friend)\s(?:wrote|writes|said|says|texted|"
    r"messaged|replied|posted|emailed|told me)(?: (?:me|us|back))?)\b[^:\n\"\u201c]{0,80}:\s", re.IGNORECASE)
_DOWN = re.compile(r"\b(?:write|note|put|jot|take)\s(?:this|that|it|"
    r"the following)?\s?down\b[^:\n]{0,40}:\s", re.IGNORECASE)
_QUOTE = re.compile(r"\"[^\"\n]{3,2000}\"|\u201c[^\u201d\n]{3,2000}\u201d|\u00ab[^\u00bb\n]{3,2000}\u00bb|"
    r"\u201e[^\u201c\u201d\n]{3,2000}[\u201c\u201d]|"
    r"(?<![\w'\u2019])['\u2018](?=[^'\u2019\n]{3})(?:[^'\u2019\n]|['\u2019](?=\w)){3,2000}['\u2019](?!\w)")
_SPEECH = re.compile(r"\b(?:i|i'm|i\u2019m|im|we|my|our|me|am|is|are|was|were|has|have|had|he|she|they|you|your|"
    r"do|does|did|ich|wir|bin|habe|je|suis|nous|yo|soy|estoy|io|sono|eu|sou|ik|jag|ja|\u044f|\u043c\u044b)\b",
    re.IGNORECASE)
_TURN = re.compile(r"^[ \t]*(?:\[[^\]\n]{1,40}\]\s*)?(?P<who>[A-Z][\w.-]{0,20}(?: [A-Z][\w.-]{0,20})?):\s+\S.*$", re.MULTILINE)
# fmt: on
TITLE = 5  # words of a quotation without a verb that may be a name: 'My thesis is "Routing in Small Networks"'


def own_words(text: str) -> str:
    """Return a text with everything that its author only quotes replaced by spaces, of the same length.

    That is code, quoted sentences, lines of a reply, forwarded mail, transcripts of several people, and what is to be
    translated, drafted, corrected or played. A quoted name stays. O(characters).
    """
    if ":" not in text and not _MARKS.search(text):
        return text
    kept = _CODE.sub(_blank, text)
    kept = _LINE.sub(_blank, kept)
    if (pasted := _PASTED.search(kept)) is not None:
        kept = kept[: pasted.start()] + _blank_of(kept[pasted.start() :])
    turns = [m["who"] for m in _TURN.finditer(kept)] if "\n" in kept else []
    if len(set(turns)) > 1 and len(turns) > 2:
        kept = _TURN.sub(_blank, kept)
    kept = _QUOTE.sub(lambda m: _blank(m) if _is_speech(m[0][1:-1]) else m[0], kept)
    task = _TASK.search(kept)
    if task is not None and not _DOWN.search(kept, 0, task.end()):
        kept = kept[: task.end()] + _blank_of(kept[task.end() :])
    return kept


_MARKS = re.compile("[\"'>|`\u2018\u201c\u201e\u00ab]|Dear |wrote")


def _is_speech(quoted: str) -> bool:
    words = len(quoted.split())
    return words > TITLE or (words > 1 and _SPEECH.search(quoted) is not None)


def _blank(match: re.Match[str]) -> str:
    return _blank_of(match[0])


def _blank_of(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)
