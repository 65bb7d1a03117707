"""What values look like: names, numbers, roles; and the spelling of what they are values of."""

from __future__ import annotations

import re
import unicodedata

from mnemos.reason.patterns import NOUNS, PETS
from mnemos.reason.places import is_place

# fmt: off
_MONTH = "january|february|march|april|may|june|july|august|september|october|november|december"
WHEN = re.compile(rf"\d|\b(?:{_MONTH}|\w+day|noon|midnight|tomorrow)\b", re.IGNORECASE)
# Where a value ends: at a clause that goes on about something else, or at words of time.
VALUE_END = re.compile(r"\s*(?:,(?!\d{3}\b)|\s-+\s|\u2014|\(|:\s|" r"\b(?:but|because|since|so|which|who|where|while|after|when|"
    r"until|before|though|although|if|and (?:i|I|my|we|he|she|they|it|now|" r"am|is|have|has|the|that|this|also|so|then|"
    r"started|moved|it's|i'm|I'm)|these days|nowadays|lately|any ?more|right now|now|currently|at the moment|"
    r"for now|at all|a lot|very much|so much|as of|instead|starting|yesterday|today|tomorrow|last (?:night|week|month|"
    r"year|spring|summer|fall|autumn|winter|" rf"(?i:{_MONTH})|\w+day)|this (?:week|month|year|spring|summer|fall|autumn|"
    rf"winter|morning)|next (?:week|month|year|\w+day)|with my|from now on|" rf"for (?:a|the|my) (?:while|year|job|"
    rf"work|new)|in (?:19|20)\d\d|in (?i:{_MONTH})|again|too|as well|\d+ \w+ ago|a (?:few|couple)|finally|by the way|"
    r"btw|please|rather than|instead of)\b).*$", re.DOTALL)
PET_NAMES = {pet: {"puppy": "dog", "kitten": "cat"}.get(pet, pet) for pet in PETS.split("|")}
_KINDS = [(kind, re.compile(rf"(?:{nouns})", re.IGNORECASE)) for kind, nouns in NOUNS.items()]
_SAME = {"e-mail": "email", "email address": "email", "e-mail address": "email", "mail address": "email", "address":
    "email", "phone number": "phone", "mobile": "phone", "number": "phone", "cell": "phone", "cell phone": "phone",
    "cell number": "phone", "telephone": "phone", "telephone number": "phone", "mobile number": "phone",
    "cell phone number": "phone", "job title": "job", "occupation": "job", "profession": "job", "title": "job",
    "position": "job", "role": "job", "company": "work at", "employer": "work at", "workplace": "work at", "city":
    "live in", "home": "live in", "home city": "live in", "home town": "hometown", "timezone": "time zone", "due date":
    "deadline", "submission date": "deadline", "delivery date": "deadline", "operating system": "os", "text editor":
    "editor", "code editor": "editor", "vehicle": "car", "partner": "relationship", "girlfriend": "relationship",
    "boyfriend": "relationship", "wife": "relationship", "husband": "relationship", "fianc\u00e9": "relationship",
    "fianc\u00e9e": "relationship", "dog": "dog name", "cat": "cat name", "puppy": "dog name", "kitten": "cat name",
    "full name": "name", "favourite editor": "editor", "favourite text editor": "editor", "favourite browser":
    "browser", "favourite gym": "gym", "supervisor": "boss", "manager": "boss"}
_SAME_LIKED = {"dish": "food", "meal": "food", "foods": "food", "movie": "film", "colours": "color", "thing to eat":
    "food", "flick": "film", "tune": "song"}
# What is a favourite only in its context: "my favourite part is the end".
VAGUE = re.compile(r"\b(?:part|thing|things|memory|memories|moment|moments|way|time|times|one|ones|bit|aspect|spot|"
    r"kind|type|piece|photo|picture|shot|scene|day|" r"activity|activities|of|to|in|about|so|far|is|are|was|ever|has|"
    r"have|from|quote|hobby|new|right|that|which|with)\b")


# fmt: on
def kind_of(noun: str) -> str:
    """Return how the value of something looks; "" for what is not known to have one value at a time."""
    words = noun.split()
    for i in range(len(words)):  # "wifi password" is a password
        rest = " ".join(words[i:])
        if kind := next((kind for kind, nouns in _KINDS if nouns.fullmatch(rest)), ""):
            return kind
    return ""


def tidy_attribute(noun: str) -> str:
    """Bring an attribute to one spelling: "Favorite colour" and "favourite color" are one."""
    words = re.sub(r"\s+", " ", noun.strip().lower()).replace("favorite", "favourite").replace("colour", "color")
    words = re.sub(r"^(?:best[- ]loved|go-to|preferred|number one|top|top|all-time favourite)", "favourite", words)
    if words.startswith("favourite "):
        words = f"favourite {_SAME_LIKED.get(words[10:], words[10:])}"
    return _SAME.get(words, words)


# fmt: off
PRONOUNS = frozenset(["i", "it", "he", "she", "they", "we", "you", "this", "that", "these", "those", "there", "here",
    "what", "who", "where", "when", "why", "how", "yes", "no", "ok", "okay", "well", "so", "and", "but", "or", "if",
    "then", "thanks", "thank", "hey", "hi", "hello", "oh", "wow", "sure", "also", "my", "the", "our", "your", "his",
    "her", "their", "its", "let", "lets", "please", "today", "yesterday", "tomorrow", "monday", "tuesday", "wednesday",
    "thursday", "friday", "saturday", "sunday", "january", "february", "march", "april", "may", "june", "july",
    "august", "september", "october", "november", "december", "actually", "honestly", "maybe", "not", "just", "now",
    "someone", "everyone", "somebody", "everybody", "nobody", "people", "anyone", "as", "of", "big", "new", "news",
    "update", "finally", "after", "since", "before", "because", "while", "although", "though", "both", "each", "all",
    "some", "most", "many", "one", "two", "three", "another", "nothing", "everything", "something", "life", "work",
    "time", "things", "glad", "happy", "great", "good", "nice", "cool", "awesome", "sounds", "looks", "congrats",
    "congratulations", "by", "fyi", "note", "ps", "in", "on", "at", "for", "from", "with", "to", "a", "an", "is", "are",
    "was", "were", "do", "does", "did", "can", "could", "would", "should", "will", "have", "has", "had", "never",
    "always", "sometimes", "usually", "recently", "lately", "soon", "still", "even", "only", "too", "very"])
_PROPER = re.compile(r"(?:the\s|The\s)?[A-Z\u00c0-\u00de0-9\u0100-\u024f][\w.'\u2019&/+#-]*(?:,?\s(?:(?:of|de|da|del|"
    r"la|le|du|von|van|the|&)\s)*[A-Z\u00c0-\u00de0-9\u0100-\u024f][\w.'\u2019&/+#-]*)*")
_NOT_PROPER = re.compile(r"(?:I|I'm|I\u2019m|It|My|And|But|So|The|A|We|He|She|They|This|That|Monday|Tuesday|Wednesday|"
    r"Thursday|Friday|Saturday|Sunday)$")
_PHONE = re.compile(r"\+?\(?\d[\d\s().-]{4,18}\d")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,63}){1,4}")
# How something is, rather than what: "my job is stressful".
_DESCRIBES = re.compile(r"(?:so|very|pretty|really|quite|too|super|just|still|always|never|not|no|great|good|bad|nice|"
    r"fun|hard|tough|easy|cute|sick|fine|ok|okay|cool|crazy|" r"busy|awesome|better|best|worse|more|less|much|all|"
    r"about|to|what|when|where|how|that|this|these|those|it|its|one|going|getting|gone|over|up|down|"
    r"out|off|on|in|at|for|from|with|by|like|there|here|definitely|probably|absolutely|i|you|he|she|we|they|my|your|"
    r"his|her|our|their|done|dead|lost|" r"changing|currently|kind|sort|something|anything|everything|nothing|any|"
    r"some|such|important|free|full|ready|safe|boring|amazing|different|" r"as|because|if|also|now|(?:low|high)(?!-)|"
    r"huge|big|small|perfect|wonderful|beautiful|tight|crucial|actually|due|both|having|being)\b", re.IGNORECASE)
_QUALITY = re.compile(r"(?:ful|ous|ive|able|ible|less|ing|ic|ish|ted|ged|red|ned|led|ked|sed)$")
_NATION = re.compile(r"(?:ish|ese|ian|ican|German|French|Dutch|Greek|Swiss|Thai|Czech|Catholic|Jewish|Muslim)$")
_GROUP = re.compile(r"\b(?:club|gym|team|group|band|class|choir|church|league|community|discord|facebook|instagram|"
    r"twitter|army|navy|society|" r"association|orchestra|course|meeting|call|party|server|meetup|program|programme)\b",
    re.IGNORECASE)
_TRADE = re.compile(r"(?:er|or|ist|ian|ant|yst|eer|ect|nurse|chef|guide|coach|pilot|paramedic|judge|clerk|cook|maid|"
    r"driver|baker|lead|head|ceo|cto|cfo|director|" r"president|dean|principal|secretary|associate|executive|partner "
    r"at|surgeon|vet|dj|barista|fireman|policeman|captain|sergeant)$", re.IGNORECASE)
_NO_TRADE = re.compile(r"\b(?:member|mother|father|partner|user|owner|lover|believer|supporter|reader|number|winner|"
    r"customer|better|stronger|longer|parent|sister|brother|" r"daughter|bigger|closer|easier|harder|happier|calmer|"
    r"healthier|faster|older|smarter|wiser|regular|popular|important|\w*(?:vegeta|pesca|flexita|pescata)rian|matter|"
    r"beginner|survivor|sponsor|neighbor|over|other|clear|ever|favor|color|minor|major|peer|christian|constant|"
    r"significant|relevant|nor|for|or|" r"fitter|slower|tighter|thinner|louder|quieter|clearer|deeper|another|"
    r"together|later|sooner|honor|error|horror|dinner|winter|summer)$", re.IGNORECASE)
_UNLIKED = re.compile(r"(?:that|this|these|those|it|you|your|them|him|her|his|their|my|our|the|how|when|what|where|"
    r"why|who|to|being|seeing|getting|having|all|both|" r"everything|nothing|something|anything|some|any|one|more|"
    r"doing|making|working|being|and|about|as|every|each|looking|its|hearing|so|i|we|" r"another|taking|spending|"
    r"trying|a lot|a bit|new|other|things|stuff|me|us|here|there|learning|giving|knowing|is|was|are|were|makes|made|"
    r"has|will|can|not|really|also|different|two|three|many|most|going|playing|throwing|"
    r"curling|escaping|coming|holding|talking|listening|lounging|got|helps|about|on|in|at|for|with|from)\b", re.
    IGNORECASE)


# fmt: on
def look(kind: str, raw: str, article: str | None) -> str | None:
    """Return the part of `raw` that is a value of this kind, or None when it does not look like one."""
    if kind == "phone":
        number = _PHONE.search(raw[:40])
        if number is None:
            return proper(raw) if article else None
        version = min(map(len, number[0].split("."))) < 2  # "10.398.0": no number that one calls
        digits = sum(c.isdigit() for c in number[0])
        return number[0] if digits >= 6 and not version and "@" not in raw[:40] else None
    if kind == "email":
        found = _EMAIL.search(raw[:80])
        return found[0] if found else None
    value = VALUE_END.sub("", raw).strip(" \t\"'\u2019*!.")
    if not value or (kind not in ("self", "any", "for", "when") and _DESCRIBES.match(value)):
        return None
    words = value.split()
    if kind in ("proper", "person", "firm", "for", "thing", "place", "left"):
        if kind == "person" and (article or _NATION.search(words[0])):
            return None
        name = proper(value)
        if name is None or (
            kind == "firm" and (_GROUP.search(value) or not re.match(r"$| as an? ", value[len(name) :]))
        ):
            return None
        return name
    if kind in ("when", "digits"):
        short = " ".join(words[:6])
        return short if (WHEN if kind == "when" else _DIGIT).search(short) else None
    if kind in ("role", "trade"):
        value = re.split(r"\s(?:at|for|with|in|on|from|by|of an?)\s", value)[0]
        last = value.split()[-1]
        wrong = len(value.split()) > 5 or (
            article is None and len(value.split()) == 1 and _QUALITY.search(last) and not _TRADE.search(last)
        )
        if (
            wrong
            or value.split()[-1] in ("team", "charm", "couple", "group", "family", "unit")
            or (proper(value) == value and kind == "trade")
        ):
            return None
        if kind == "trade" and (not _TRADE.search(last) or _NO_TRADE.search(last)):
            return None
        return value
    if kind in ("noun", "tool"):
        first = value.partition(" and ")[0]
        value = first if len(value.split()) > 4 else value
        lower = value.islower() and len(value.split()) == 1
        return None if len(value.split()) > 7 or (lower and re.search(r"(?:ful|less|ible)$", value)) else value
    return value if len(words) <= 7 else " ".join(words[:7])


_DIGIT = re.compile(r"\d")


def proper(value: str) -> str | None:
    """Return the proper name that a value begins with; a value in lower case may be one if it is a word or two."""
    found = _PROPER.match(value)
    if found is not None:
        name = found[0].rstrip(".,'\u2019&/-")
        return None if _NOT_PROPER.match(name) else name
    return None


def about(raw: str) -> str | None:
    """Return the thing that is liked or not, without what follows; None when only its context says what it is."""
    thing = VALUE_END.sub("", raw).strip(" \t\"'\u2019*")
    if re.search(r"\b(?:best|most)\b", thing):
        return None
    thing = re.split(
        r"\s(?:and|or|at|in|on|with|for|from|when|as|that|than|by|after|during|every|to|like|even|more)\b", thing
    )[0]
    thing = re.sub(r"^(?:an?|playing|doing|going|eating|drinking) ", "", thing)
    return thing if thing and len(thing.split()) <= 3 and not _UNLIKED.match(thing) else None


_DIAL = re.compile(r"\+?[\d\s().-]{6,}")
_DETAIL = ("in", "at", "near", "on", "by", "of")  # words that add where something is


def words_of(value: str) -> tuple[str, ...]:
    """Return the words of a value as written, without case and the punctuation around them; a telephone number is one."""
    plain = unicodedata.normalize("NFKC", value).casefold()
    if _DIAL.fullmatch(plain):
        return (re.sub(r"[\s().-]", "", plain),)
    return tuple(word for piece in plain.split() if (word := piece.strip(".,;:!?\"'\u2018\u2019\u201c\u201d()")))


def is_detail(value: str, plain: str) -> bool:
    """Tell whether a value is another one with more detail: "Lisbon, Portugal", "Best Buy in Toledo", "Porto Portugal"."""
    more, less = words_of(value), words_of(plain)
    rest = more[len(less) :]
    if not less or not rest or more[: len(less)] != less or any(c.isdigit() for c in less[-1]):
        return False
    return rest[0] in _DETAIL or value.strip()[: len(plain.strip()) + 1].endswith(",") or is_place(" ".join(rest))
