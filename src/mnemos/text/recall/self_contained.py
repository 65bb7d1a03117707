"""The gate of self-contained turns: small talk, and what has nothing to do with anything in memory, needs no memory."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mnemos.index.terms import stop_terms, terms, to_terms, words_of
from mnemos.reason.condense import filler_terms
from mnemos.registry import Paper, register
from mnemos.text.base import Memory
from mnemos.text.recall.latest import SCM

CAIM = Paper(
    "CAIM: Development and Evaluation of a Cognitive AI Memory Framework for Long-Term Interaction with Intelligent Agents",
    "2505.13044",
)
_END = r"[\s.,!?;:)-]*"
_PHRASES = (
    r"hi|hello|hey|hiya|good (?:morning|afternoon|evening|night)|bye|goodbye|see you(?: (?:later|soon|tomorrow))?|take care|"
    r"(?:many |a lot of )?thanks(?: (?:a lot|so much|again|for (?:that|this|the help|your help|everything)))?|"
    r"thank you(?: (?:so|very) much| again| for (?:that|this|the help|your help|everything))?|"
    r"ok|okay|sure|great|cool|nice|perfect|awesome|wonderful|lovely|got it|i see|alright|all right|fine|right|exactly|wow|"
    r"haha|lol|sounds (?:good|great|like a plan)|no problem|no worries|you're welcome|my pleasure|sorry|never mind|"
    r"that(?:'s| is) (?:great|nice|cool|awesome|good|funny|fine|all|lovely|perfect|interesting|amazing)(?: to hear)?|"
    r"that (?:helps|helped)(?: a lot)?|how are you(?: (?:doing|today))*|how(?:'s| is) it going|what(?:'s| is) up|"
    r"nice to (?:meet|see) you|have a (?:nice|good|great|lovely) (?:day|evening|weekend|one|time)|you too|same here|"
    r"tell me a joke|are you (?:there|a robot|human|real)|who (?:are|made) you|what(?:'s| is) your name|there|everyone|again|then"
)
_SMALL_TALK = re.compile(rf"{_END}(?:(?:{_PHRASES}){_END})+", re.IGNORECASE)
_PERSONAL = re.compile(
    r"\b(?:my|mine|our|ours|we|us|i|me|myself|he|she|they|him|her|his|their|them|remember|remind|recall|forgot|mentioned|"
    r"told|said|yesterday|ago|earlier|previous(?:ly)?|used to|last (?:time|week|month|year|night|summer|winter|spring|autumn))\b",
    re.IGNORECASE,
)
_POLITE = re.compile(  # a request, without what is asked for
    r"\b(?:(?:can|could|would|will) you |please |i(?:'d| would) like (?:you )?to |i (?:want|need|have) (?:you )?to |do you mind |"
    r"i(?:'m| am) (?:wondering|curious|trying to find out|interested) (?:about|in|to know)? ?|i wonder |go ahead and |"
    r"(?:let|help) me (?:know|understand|hear)|(?:tell|give|teach|show|hit|provide|share with|offer) me(?: with)?|know )",
    re.IGNORECASE,
)
_ASSISTANT = re.compile(  # what is asked of whoever answers, or of nobody
    r"\b(?:jokes?|funny|make me laugh|fun fact|trivia|what life means|life'?s (?:meaning|purpose)|flip a coin|"
    r"(?:meaning|point|purpose|reason) (?:of|to|for) (?:life|living|existence|it all)|roll (?:a|the) di(?:e|ce)|heads or tails|"
    r"(?:are|is) (?:you|this|it) (?:an? |really |actually |just |truly )*"
    r"(?:ai|bot|robot|human|person|real|computer|machine|program|alive|living)\w*|"
    r"(?:your|you'?re?) (?:\w+ )?"
    r"(?:names?|age|birth\w*|old|hobby|hobbies|hometown|makers?|creators?|designers?|programmers?|origins?|boss)|"
    r"(?:call|name|made|makes|built|created|designed|programmed|developed|address) you|how old (?:are|is) (?:you|this)|"
    r"(?:were|are) you (?:from|born|made|built|created|programmed|called|named)|you (?:come|originate) from|"
    r"(?:do|what) you (?:do|enjoy|like)[^?]*(?:free|spare|fun|bored|hobb)|you (?:were|got) (?:born|made|created|built))\b",
    re.IGNORECASE,
)
_FOREIGN = re.compile(r"[^\x00-\x7f\u2010-\u20cf]")


@register(
    "self-contained",
    unmeasured="tests/text/systems/test_scm.py and test_caim.py check it within scm and caim",
    papers=(SCM, CAIM),
)
@dataclass(frozen=True, slots=True)
class SelfContained:
    """Close for small talk, for what is asked of the assistant itself, and for what has no word that memory knows.

    It is open where it is not sure: for any text with a pronoun of the first or third person, a word of the past, the name
    of a speaker, a content word of at most `rare` of the memories, half of its content words known, or letters beyond ASCII.
    20 us a text.

    Deviation: the papers ask a model whether the input needs memory. Its phrases were written for English, beside small talk
    of CLINC150's training part.
    """

    rare: float = 0.2  # share of the memories that a word may be in, at most, to call for them

    def needs(self, memory: Memory, text: str) -> bool:
        """Tell whether a text may need memory."""
        plain = text.replace("\u2019", "'")
        if _SMALL_TALK.fullmatch(plain):
            return False
        asked = _POLITE.sub(" ", plain)
        if _FOREIGN.search(plain) or _PERSONAL.search(asked):
            return True
        if _ASSISTANT.search(plain):
            return False
        corpus = memory.corpus()
        if corpus is None:
            return False
        words = words_of(asked)
        said = set(to_terms(words))
        if any(said & corpus.speaker_terms[i] for i in corpus.speakers.values()):
            return True
        left_out = stop_terms() | filler_terms()
        found = [corpus.words.posting(w) for w in dict.fromkeys(words) if not left_out & {*terms(w)}]
        most = max(self.rare * corpus.count, 1)
        known = [p for p in found if p is not None]
        return any(len(p.positions) <= most for p in known) or (bool(known) and 2 * len(known) >= len(found))
