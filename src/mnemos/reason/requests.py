"""Requests: what a text asks an assistant to do ("Remind me to buy stamps") is no statement, and answers nothing."""

from __future__ import annotations

import re

_ENGLISH = (
    r"(?:can|could|will|would) you\b"
    r"|(?:remind|tell|show|give|send|help|find|get|wake|let|book|order|schedule|buy) (?:me|us)\b|remind (?:my|our)\b"
    r"|don['\u2019]t (?:let me|forget to)\b|add\b.*\bto (?:my|the|our) \w+|put\b.*\bon (?:my|the|our) (?:list|calendar|agenda)"
    r"|(?:set|make|create) (?:me )?an? (?:\w+ )?(?:reminder|alarm|timer|note|list|appointment|event)\b"
    r"|note to self\b|i need you to\b|look up\b"
)
_OTHERS = (
    r"erinner\w* mich|sag mir|zeig\w* mir|hilf mir|kannst du|könntest du|recuérdame|dime\b|ayúdame|puedes\b"
    r"|(?:rappelle|dis|aide)[- ]moi|(?:peux|pourrais)[- ]tu|ricordami|dimmi|aiutami|puoi\b"
    r"|lembr\w+[- ]me|me (?:lembr|ajud)\w+|herinner me|help me|kun je|przypomnij mi|powiedz mi|pomóż mi|påminn mig"
    r"|напомни|подскажи|помоги|(?:bana )?hatırlat|请?提醒我|帮我|请告诉我|ذكرني"
)
_BEGINS = re.compile(
    rf"\W*(?:(?:hey|hi|ok|okay|please|and|also|bitte|por favor|mnemos)\W+)*(?:{_ENGLISH}|{_OTHERS})", re.IGNORECASE
)
_ENDS = re.compile("教えて|リマインドして|忘れないよう|알려 ?줘|상기시켜")  # where the verb is last


def is_request(text: str) -> bool:
    """Tell whether a text asks an assistant to do something, in English and, in plain forms, a dozen other languages."""
    return _BEGINS.match(text) is not None or _ENDS.search(text) is not None
