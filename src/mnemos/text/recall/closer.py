"""A closer look at the first hits, word by word: whether one of them answers, or is only near.

Late interaction (ColBERT, arXiv 2004.12832): each content word of the question is aligned with the token of a text that is
most like it, by the token states of the bundled embedder. Where "malik's job" was asked "malik is staying with us" has the
name, and nothing like the job. With that go the kind of answer ("who" and no name in the text), how likely the text states
what is asked (`topic`), and the confidence that was there. A logistic regression, fitted by benchmarks/fit/closer.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.base import Embedder, TokenEmbedder, Tokens
from mnemos.errors import EmbedderError
from mnemos.index.terms import stop_terms, terms
from mnemos.reason.past_numbers import large_numbers
from mnemos.text.encode.messages import clean
from mnemos.text.recall.evidence import FEATURES as EVIDENCE
from mnemos.text.recall.query import bounded
from mnemos.text.recall.relevance import LOOKED_AT, Judgement, summary
from mnemos.text.recall.topic import likely

FEATURES = (
    "confidence", "aligned", "least aligned", "states", "who", "name", "when", "count", "where", "unknown", "unknown name",
    "has names", "words", "best coverage", "english", "names, not aligned", "length",
)  # fmt: skip
FIRST = LOOKED_AT  # hits that are looked at
LONGEST = 60  # words of each of them at most: what says more may answer in passing
CLEAR = 0.8  # confidence from which nobody needs to look
ALIGNED, ALIKE = 6.0, 3.0  # what alignment and cosine count beside the log-odds, to choose the likeliest text
ODDS = 6.0  # log-odds at most
Floats = NDArray[np.float64]
_WORD = re.compile(r"[^\W\d_]{3,}")
_NAMED = re.compile(r"\b[^\W\d_a-z]\w+")
_NO_NAMES = (
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september"
    " october november december christmas easter mr mrs ms dr"
)
_WEEKDAYS = (  # the beginnings of their names
    "montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag|lundi|mardi|mercredi|jeudi|vendredi|samedi"
    "|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo|lunedì|martedì|mercoledì|giovedì|venerdì|sabato"
    "|domenica|segunda|terça|quarta|quinta|sexta|maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag"
    "|понедельник|вторник|сред|четверг|пятниц|суббот|воскресень|poniedział|wtorek|środ|czwart|piąt|sobot|niedziel"
    "|måndag|tisdag|onsdag|torsdag|fredag|lördag|söndag|pazartesi|salı|çarşamba|perşembe|cuma|cumartesi|pazar"
)
_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万两零]|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty"
    r"|hundred|thousand|dozen|half|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|both|couple|twins|twice)\b",
    re.IGNORECASE,
)
_TIME = re.compile(
    rf"[点時时月日年周曜朝晩夜午]|\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:{_WEEKDAYS})\w{{0,2}}\b"
    r"|\b(?:january|february|march|april|may|june|july|august|september|october|november|december|morning|evening|noon|midnight"
    r"|today|tomorrow|yesterday|tonight|week|weekends?|month|year|spring|summer|autumn|winter|christmas|easter|daily|every|until|till"
    r"|night|lunch|breakfast|dinner)\b",
    re.IGNORECASE,
)
_KINDS = {  # what a question asks for
    "who": r"who|whose|whom|wer|wem|wen|wessen|qui[eé]n(?:es)?|qui|chi|quem|wie is|кто|кого|кем|kto|vem|kim",
    "name": r"names?|called|hei(?:ß|ss)(?:t|en)|se llaman?|s['\u2019]appelle|si chiama|se chama|heet|зовут|nazywa|heter",
    "when": r"when|what (?:time|day|date|year|month)|which day|birthday|wann|welchem tag|wie ?viel uhr|cu[aá]ndo"
    r"|qu[eé] (?:d[ií]a|hora)"
    r"|quand|quel jour|quelle heure|quando|che giorno|che ora|que dia|que horas|wanneer|welke dag|hoe laat|когда|kiedy|när",
    "count": r"how (?:many|much|old|long|tall|far|big|often)|number|price|cost|password|pin|wie (?:viele?|alt|hoch|teuer|lang)"
    r"|cu[aá]nt[oa]s?|combien|quel âge|quant[oaie]s?|hoeveel|hoe (?:oud|hoog|duur|lang)|сколько|ile|kaç"
    r"|hur (?:många|mycket|gammal)",
    "where": r"where|wo|wohin|d[oó]nde|où|onde|dove|waar|где|gdzie|var|nerede",
}
_UNSPACED = {  # the same in Chinese and Japanese
    "who": "谁|誰|だれ", "name": "叫什么|名字|名前", "when": "什么时候|哪天|几点|星期几|いつ|何時|何曜日",
    "count": "多少|几岁|几个|いくら|何歳|いくつ", "where": "哪里|哪儿|どこ",
}  # fmt: skip
_ASKS = {kind: re.compile(rf"\b(?:{words})\b|{_UNSPACED[kind]}", re.IGNORECASE) for kind, words in _KINDS.items()}


def _says(kind: str, question: str, text: str) -> bool:
    """Tell whether a text has what may be an answer of a kind: another name, a time, a number."""
    if kind in ("when", "count"):
        if _NUMBER.search(text) or (kind == "when" and _TIME.search(text)):
            return True
        return any(large_numbers().get(word.lower(), 0) > 1 for word in _WORD.findall(text))
    if kind == "name" and _ASKS["name"].search(text):
        return True
    asked = set(terms(question)) | stop_terms() | set(terms(_NO_NAMES))
    return any(not set(terms(name)) <= asked for name in _NAMED.findall(text))


def look(judged: Judgement, embedder: Embedder | None) -> float | None:
    """Return the probability that one of the first hits answers; None where a closer look is not worth it, or not possible."""
    from mnemos.embed.minilm import MiniLM

    if not judged.doubtful or not isinstance(embedder, MiniLM) or not worth_it(judged.confidence, judged.first):
        return None
    with suppress(EmbedderError):
        asked = clean(bounded(judged.question))
        return answered(asked, judged.first, judged.confidence, judged.evidence, embedder)
    return None


def worth_it(confidence: float, texts: Sequence[str]) -> bool:
    """Tell whether a closer look may change what is shown."""
    return bool(texts) and confidence < CLEAR and all(len(text.split()) <= LONGEST for text in texts[:FIRST])


def answered(
    question: str, texts: Sequence[str], confidence: float, table: NDArray[np.float32], embedder: TokenEmbedder
) -> float:
    """Return the probability that one of the first texts answers. `table` is the `evidence` for the hits, best first.

    Costs one forward pass over the question and three texts, about 10 ms.
    """
    weights, bias, _ = _model()
    logit = features(question, texts, confidence, table, embedder) @ weights + bias
    return float(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


def silent_below() -> float:
    """Return the probability below which context shows nothing."""
    return _model()[2]


def features(
    question: str, texts: Sequence[str], confidence: float, table: NDArray[np.float32], embedder: TokenEmbedder
) -> Floats:
    """Return the features of a search, (F,), in the order of FEATURES."""
    texts = texts[:FIRST]
    parts: dict[int, Tokens] = {}
    vectors = embedder.embed_tokens([question, *texts], lambda i, tokens: parts.setdefault(i, tokens) and None).astype(
        np.float64
    )
    parts = {i: tokens if len(tokens.spans) else _nothing(tokens) for i, tokens in parts.items()}
    asked = _content(question, parts[0])
    states = _unit(parts[0].states)[asked]
    best = np.stack([(states @ _unit(parts[i + 1].states).T).max(1) for i in range(len(texts))])  # (n, Q)
    aligned, least = best.mean(1), best.min(1)
    known = dict(zip((question, *texts), vectors, strict=False))
    chances = np.clip(likely(question, texts, lambda t: np.array([known[one] for one in t])), 1e-3, 1 - 1e-3)
    odds = np.clip(np.log(chances / (1 - chances)), -ODDS, ODDS)
    i = int(np.argmax(odds + ALIGNED * aligned + ALIKE * (vectors[1:] @ vectors[0])))
    whole, confidence = summary(table), min(max(confidence, 1e-6), 1 - 1e-6)
    of = {name: float(whole[EVIDENCE.index(name)]) for name in EVIDENCE}
    kinds = [bool(asks.search(question)) and not _says(kind, question, texts[i]) for kind, asks in _ASKS.items()]
    return np.array([
        np.log(confidence / (1 - confidence)), aligned.max(), least.max(), odds[i], *kinds, of["unknown"],
        of["unknown name"], of["has names"], of["words"], of["best coverage"], of["english"], of["names"] * (1 - least.max()),
        np.log1p(np.mean([len(text.split()) for text in texts])),
    ])  # fmt: skip


def _nothing(tokens: Tokens) -> Tokens:
    """Return what stands for a text of which the model sees nothing, such as control characters: it is like no other."""
    return Tokens(np.zeros((1, 2), dtype=np.int64), np.zeros((1, tokens.states.shape[1]), dtype=tokens.states.dtype))


def _content(text: str, tokens: Tokens) -> NDArray[np.bool_]:
    """Return which tokens are of content words, (L,); all words where none is, and all tokens where there is no word."""
    words = [text[start:end].lower() for start, end in tokens.spans]
    is_word = np.array([re.match(r"\w", word) is not None for word in words])
    content = is_word & np.array([not set(terms(word)) <= stop_terms() for word in words])
    return content if content.any() else is_word if is_word.any() else np.ones(len(words), dtype=bool)


def _unit(states: NDArray[np.float32]) -> Floats:
    """Return the states of the last layer, (L, D / 2), of unit length."""
    last = states[:, states.shape[1] // 2 :].astype(np.float64)
    return np.asarray(last / np.maximum(np.linalg.norm(last, axis=1, keepdims=True), 1e-9))


@cache
def _model() -> tuple[Floats, float, float]:
    found = json.loads(resources.files("mnemos.text.recall").joinpath("closer.json").read_text(encoding="utf-8"))
    return np.array([found["weights"][name] for name in FEATURES]), float(found["bias"]), float(found["silent"])
