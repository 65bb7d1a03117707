"""The words by which questions name a past time, in English and, in their plainest forms, in other languages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from mnemos.reason.calendar import NUMBERS

Side = Literal["before", "during", "after"]
SMALL = NUMBERS | {
    "thirteen": 13, "fourteen": 14, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty-one": 21,
    "twenty-two": 22, "twenty-five": 25, "forty": 40, "fifty": 50, "sixty": 60,
}  # fmt: skip
_WORDS = r"(?P<n>\d{1,3}|[^\W\d_]{3,}(?:(?:-| y | e |-et-| et )[^\W\d_]{2,})?)"  # a number in any language
_N = r"(?P<n>\d{1,3}|" + "|".join(sorted((w for w in SMALL if len(w) > 2), key=len, reverse=True)) + ")"


def _all(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


# "when I was 20", "at the age of twenty", "als ich 20 war", "quando tinha 20 anos", "20歳のとき"
AGES = _all(
    rf"\b(?:back )?when (?:i|we|he|she|they|[a-z]+) (?:was|were|turned) (?:only |just |about |still )?{_N}\b"
    r"(?! (?:months?|weeks?|days?))(?: years? old)?",
    rf"\b(?:at|by) (?:the )?age (?:of )?{_N}\b",
    rf"\baged {_N}\b",
    rf"\bals (?:ich|er|sie|[a-zäöüß]+) {_WORDS} (?:jahre alt )?(?:war|wurde)\b",
    rf"\bmit {_WORDS} (?:jahren?|lebensjahren)\b",
    rf"\bmit {_WORDS}(?= \w+\W*$|\W*$)",
    rf"\b(?:cuando (?:yo )?ten[ií]an? |a (?:los|mis|sus) |con ){_WORDS} años\b",
    rf"\ba (?:los|mis) {_WORDS}(?=\W*$)",
    rf"\b(?:quando (?:eu )?(?:tinha|avevo|aveva) |aos |com |a ){_WORDS}['’\s]\s?(?:anos|anni)\b",
    rf"\b(?:quand (?:j['’]|il |elle )avai[st] |(?<!il y )[àa] (?:l['’][âa]ge de )?){_WORDS} ans\b",
    rf"\btoen (?:ik|hij|ze) {_WORDS} (?:jaar )?was\b",
    rf"\b(?:op|met) (?:mijn |zijn |haar )?{_WORDS}(?:e|ste)?(?=\W*$| \w+\W*$)",
    rf"когда (?:мне|ему|ей) было {_WORDS}\b(?: лет)?",
    rf"\bв {_WORDS} лет\b",
    rf"\b(?:(?:kiedy|gdy) mia\w+|w wieku) {_WORDS} lat\b",
    rf"\bnär (?:jag|han|hon) var {_WORDS}\b",
    rf"\b{_WORDS} yaş\w*(?:ken|da|daydım)\b",
    r"(?P<n>\d{1,3}|[一二三四五六七八九十]{1,3})\s?(?:歳|岁|歲)(?:の)?(?:とき|時|的?时候|的?時候|时|頃|ごろ|那年)",
    r"(?P<n>\d{1,3})\s?살\s?(?:때|이었을)",
    rf"\bat {_N}(?=\W*$|,)",
)
# "in my early twenties": a decade of a life, and which part of it
LIFE = re.compile(
    r"\b(?:back )?in (?:my|his|her|their) (?:(?P<part>early|mid|late)[\s-])?"
    r"(?P<n>teens|twenties|thirties|forties|fifties|sixties)\b"
    r"|\bin (?:meinen|seinen|ihren) (?P<de>zwanziger|dreißiger|vierziger|fünfziger|sechziger)n?\b"
    r"|(?P<teen>\b(?:as a teen(?:ager)?|als (?:teenager|jugendlicher?)|de adolescente|quand j['’]étais ado|подростком)\b)"
    r"|(?P<child>\b(?:as a (?:child|kid|boy|girl)|in (?:my|his|her) childhood|als kind|de (?:niñ[oa]|pequeñ[oa])"
    r"|quand j['’]étais enfant|da bambin[oa]|em criança|в детстве|w dzieciństwie"
    r"|çocukken|som barn)\b|小时候|小時候|子供の(?:頃|時|とき)|어렸을 때)",
    re.IGNORECASE,
)
LIVED = {
    "teens": 13, "twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60,
    "zwanziger": 20, "dreißiger": 30, "vierziger": 40, "fünfziger": 50, "sechziger": 60,
}  # fmt: skip
# "as a student", "da studente", "öğrenciyken": the time of what studies a space tells of
STUDENT = re.compile(
    r"(?:\b(?:(?:back )?(?:as an?|when (?:i|he|she|we) (?:was|were) (?:an? )?|as) (?:[a-z]+ )?"
    r"(?:under(?:graduate|grad)|students?|freshman)"
    r"|(?:during|in) (?:my|his|her|our) (?:student|uni|university|college)(?: days| years| time)?|at (?:uni|university|college)"
    r"|(?:als|jako|som|como|cuando era|quando era|quando ero|de|da|comme|quand j['’]étais|quand (?:il|elle) était|en tant qu['’]"
    r"|toen ik|когда (?:я )?был[аи]?)\s?(?:ich |noch |een? |un[ae]? )*"
    r"(?:student\w*|estudiante|étudiante?|studente(?:ssa)?|estudante|студент\w*)(?: war| was)?"
    r"|in meiner studienzeit|im studium|студентом|студенткой|öğrenciyken|üniversitedeyken|opiskelijana)\b"
    r"|我?(?:上|读|念|是|当)?(?:大学|大學|学生)(?:の頃|の時|的?时候|的?時候|时代|時代|時|时)(?:に|は)?|대학(?:생)? 때)",
    re.IGNORECASE,
)

BORN = re.compile(
    r"(?P<who>\b(?:i|he|she|they|[a-z]+) (?:was|were)) born (?:(?:in|on) )?(?P<when>[^.?!,]{4,30})[.?!]?", re.IGNORECASE
)
# "two years before the operation"
DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
SPANS = re.compile(
    r"\b(?P<n>\d{1,3}|" + "|".join(w for w in SMALL if SMALL[w]) + r")\s(?P<unit>day|week|month|year)s?\s*$",
    re.IGNORECASE,
)
_BACK = r"(?:(?:just|right|shortly|back|soon|immediately|long|some time|the (?:day|week|month|year)) )?"
_AFTER_IT = r"(?P<event>[^?？]+?)\s*[?？]?\s*$"  # the phrase ends the question
_IN_FRONT = r"(?P<event>[^,，、?？]+)[,，、]\s*"  # the phrase begins it and ends with a comma


@dataclass(frozen=True, slots=True)
class Clause:
    """How a question names an event: groups `word` and `event`, and the language that it has to be in; "" for any."""

    side: Side
    pattern: re.Pattern[str]
    language: str = ""
    past: re.Pattern[str] | None = (
        None  # a verb in the past that the question must have, where the words mean more than a time
    )


def _clauses(side: Side, words: str, language: str = "", past: re.Pattern[str] | None = None) -> tuple[Clause, ...]:
    """Return the patterns of phrases that begin with these words, in front and at the end."""
    return tuple(
        Clause(side, re.compile(pattern, re.IGNORECASE), language, past)
        for pattern in (
            rf"^\W*{_BACK}(?P<word>{words})(?:\s+|(?<=['’])){_IN_FRONT}",
            rf"(?<=[\w,]\s){_BACK}(?P<word>\b(?:{words}))(?:\s+|(?<=['’])|(?<=\s)){_AFTER_IT}",
        )
    )


_BEFORE = (
    r"before|prior to|until|till|bevor|vor (?:de[mr]|meine[mr]|unsere[mr]|(?!Ort\b|allem\b)(?=(?-i:[A-ZÄÖÜ])))"
    r"|antes (?:del?(?: que)?|d[oae]s?)"
    r"|avant (?:de|que|qu['’]|d['’]|le|la|les|mon|ma|l['’])|avant(?= (?-i:[A-Z]))|prima (?:di|che)|prima de[l]?l?[aoe'’]?"
    r"|voordat|vóór|v(?:oo|óó)r (?:de|het|mijn|ons|onze|(?=(?-i:[A-Z])))|до|перед тем,? как|перед|прежде чем"
)
_AFTER = (
    r"after|following|nachdem|nach (?:de[mr]|meine[mr]|unsere[mr])|despu[ée]s de(?:l| que)?|depois (?:del?(?: que)?|d[oae]s?)"
    r"|apr[èe]s(?: que)?|dopo(?: che)?|nadat|после(?: того,? как)?"
)
_DURING = (
    r"when|while|whilst|during|at the time of|around the time of|by the time|als|während|cuando|mientras|durante|quando|enquanto"
    r"|quand|lorsque?|lorsqu['’]|pendant(?: que)?|à l['’]époque où|au moment où|mentre|toen|tijdens|когда|во время|пока"
    r"|en la época en que|na altura em que"
)
# Words that are others in other languages ("da", "saat", "kun"): read where the question is in the language, as `languages` tells
_OF_LANGUAGE: dict[str, tuple[str, str, str]] = {  # before, after, during
    "pl": ("zanim|przed", "odkąd|po tym,? jak", "kiedy|gdy|podczas"),
    "sv": ("innan", "efter(?: att)?", "när|då|under tiden"),
    "da": ("før|inden", "efter(?: at)?", "da|mens|når"),
    "no": ("før", "etter(?: at)?", "da|mens|når"),
    "fi": ("ennen(?: kuin)?", "sen jälkeen,? kun", "kun"),
    "ro": ("până să|înainte (?:de|să)", "după ce", "când"),
    "hu": ("mielőtt", "miután", "amikor"),
    "cs": ("předtím,? než|než|před", "poté,? co", "když"),
    "sk": ("predtým,? ako|skôr,? ako|pred", "potom,? ako", "keď"),
    "id": ("sebelum", "setelah|sesudah", "ketika|waktu|saat"),
    "vi": ("trước khi|trước", "sau khi", "khi"),
}


_OTHERS_BEFORE = "|".join(words[0] for words in _OF_LANGUAGE.values())
_OTHERS = "|".join(said for words in _OF_LANGUAGE.values() for said in words)
BEFORE_IT = re.compile(
    rf"\b(?:{_BEFORE}|{_OTHERS_BEFORE})\s*(?:the|el|la|le|l['’]|il|lo|o|a|de[mnr]|das|die|het|een)?\s*$",
    re.IGNORECASE,
)


def _ends_with(side: Side, words: str, language: str = "", past: re.Pattern[str] | None = None) -> Clause:
    """Return the pattern of a phrase in front that ends with one of these words."""
    return Clause(side, re.compile(rf"^(?P<event>.+?)(?P<word>{words})[,，、]?\s*", re.IGNORECASE), language, past)


_GERMAN_PAST = re.compile(r"\b(?:habe?n?|hast|hat|habt|hatte\w*|bin|bist|war(?:en|st|t)?|wurden?)\b", re.IGNORECASE)
_TURKISH_PAST = re.compile(r"\w(?:[dt][ıiuü](?!r)|m[ıiuü]ş)\w{0,4}\b(?=\W*$)", re.IGNORECASE)
_SIDES: tuple[Side, ...] = ("before", "after", "during")
CLAUSES: tuple[Clause, ...] = (
    *_clauses("before", _BEFORE),
    *_clauses("after", _AFTER),
    *_clauses("during", _DURING),
    *_clauses("during", r"bei (?:meine[mr]|unsere[mr]|der)|beim", "de", _GERMAN_PAST),
    *(
        clause
        for language, words in _OF_LANGUAGE.items()
        for side, said in zip(_SIDES, words, strict=True)
        for clause in _clauses(side, said, language)
    ),
    _ends_with("before", r"之前|以前|の前(?:に|は)?|る前(?:に|は)?|前(?:に|は|、)"),
    _ends_with("after", r"之后|之後|以后|以後|の後(?:に|は)?|た後(?:に|は)?|てから"),
    _ends_with("during", r"(?:的时候|的時候|的?那时|たとき|た時|の時|のとき|た頃|の頃)(?:に|は)?"),
    _ends_with("during", r"을? 때(?:는|에)?\s"),
    _ends_with("before", r"(?<=\w) 전에(?:는)?\s"),
    _ends_with(
        "during", r"(?<=\w)(?:(?<!\ber)(?<=[ıiuüae]r)ken|(?<=y)ken|[dt][ıiuü]ğ[ıiuü]nda)[,\s]", "tr", _TURKISH_PAST
    ),
    _ends_with("before", r"(?<=[dt][ae]n)\sönce(?:\s|ki\s)", "tr"),
    _ends_with("after", r"(?<=[dt][ae]n)\ssonra\s", "tr"),
)

# "What did I earn at Acme?", "Who was my doctor in Leeds?": the place stands for the time there.
PLACES = re.compile(
    r"(?<=\w\s)(?P<word>at|in)\s+(?P<event>(?:(?:my|our|the|his|her|their)\s)?[\w'’&.-]+(?:\s[\w'’&.-]+){0,3})\s*\?\s*$",
    re.IGNORECASE,
)
BETWEEN = re.compile(r"\bbetween\s+(?P<first>[^?]{2,60}?)\s+and\s+(?P<event>[^?]{2,60}?)\s*\?\s*$", re.IGNORECASE)
UNTIL_WHEN = re.compile(
    r"^\W*(?:until|till|up to) when\s+(?:did|was|were|had)\s+(?P<event>[^?]{3,80}?)\s*\?\s*$", re.IGNORECASE
)
# "my first car", "my previous boss", "before this one"; the number is the place among all, from behind where it is negative
ORDERS = _all(
    r"\b(?:my|our|his|her|their|the|[^\W\d_]+['’]s)\s+(?:very\s)?(?P<n>first|second|third|fourth|original|previous|former)\b"
    r"(?=\s(?:place|job|employer|company|boss|manager|car|bike|van|phone|laptop|computer|flat|apartment|house|home|address|city|town"
    r"|school|college|uni\w*|team|coach|trainer|teacher|tutor|dog|cat|pet|boyfriend|girlfriend|partner|husband|wife|landlord"
    r"|landlady|flatmate|roommate|doctor|dentist|therapist|bank|gym|club|band|instrument|sport|hobby|salary|rent|number|email"
    r"|password|diet|medication|pill|course|major|degree|role|position|title|shift|desk|office|room|boat|garden|camera|editor"
    r"|provider|insurer|nickname|name)s?\b)",
    r"\b(?:my|our|his|her|their)\s+(?P<n>old)\b(?=\s(?:job|boss|address|phone|number|car|flat|house|school|email|bank|doctor"
    r"|dentist|gym|landlord|manager|password|laptop|computer|team|employer|company|salary|rent|bike)\b)",
    r"\bbefore (?P<n>this one|that one|the (?:current|present|new|one i have)\b[^?]{0,30}|my (?:current|present|new)\b[^?]{0,30}"
    r"|now)(?=\W*$)",
)
_TIMES = (
    "year|month|week|day|hour|minute|second|decade|night|morning|evening|summer|winter|spring|autumn|fall|season|term"
    "|semester"
)
# "two jobs ago", "the flat before last"; what is counted is no time
THINGS_AGO = re.compile(
    rf"\b(?P<n>two|three|four|five|\d) (?!(?:{_TIMES})s?\b)[\w'-]+s(?: \w+)? ago\b"
    rf"|\bthe (?P<thing>(?!{_TIMES}|time|one)[\w'-]+(?: \w+)?) before last\b",
    re.IGNORECASE,
)
PLACE_OF = {"first": 0, "original": 0, "second": 1, "third": 2, "fourth": 3}
DECADES = {
    word: number
    for number, decade in enumerate(("twen", "thir", "for", "fif", "six", "seven", "eigh", "nine"), 2)
    for word in (f"{decade}ties", f"{number}0s")
}
DECADE = re.compile(
    r"\b(?:in|during|throughout|back in) the (?:early |late |mid[- ]?)?(?P<c>19|20|nineteen[- ])?['’]?(?P<d>" + "|".join(DECADES)
    + r"|(?<=20)00s|noughties|two thousands|2000s)\b(?! of)", re.IGNORECASE,
)  # fmt: skip

# What a question with a past time in it has: a cheap test that spares most of them the patterns.
HINT = re.compile(
    rf"\b(?:{_BEFORE}|{_AFTER}|{_DURING}|{_OTHERS}|aged?|at|by|in|with|on|as|between|first|second|third|original|previous|former|old"
    r"|önce|sonra|mit|a|con|com|à|aos|op|met|в|w|als|como|come|comme|da|jako|hace|fa|il|vor|letzte\w*|pasad[oa]|scors[oa]"
    r"|derni[eè]re?|passad[oa]|vorig\w*|прошл\w+|zeszł\w+|geçen|förra|die|den|der|los|ann[ée]es|anni|anos|jaren)(?:\s|(?<=['’]))"
    r"|derni[eè]re?\b|pasad[oa]\b|scors[oa]\b|passad[oa]\b|ago\b|before last|(?:[ıiuüae]r|y)ken\b|[dt][ıiuü]ğ[ıiuü]nda\b|\d"
    r"|[前后後时時頃때]|とき|てから|年代",
    re.IGNORECASE,
)
# A year in other languages, with the word before it: "en 2021", "im Sommer 2020", "em março de 2019", "в марте 2021 года"
_IN = r"en|el|im|in|im jahre?|em|no|na|nel|nell['’]|dans|anno|au|à|a|du|año|ano|rok[ue]?|w|we|i|år|v|в|во|у|jaar|l['’]"
YEARS = re.compile(
    rf"(?:\b(?:{_IN})\s+)?(?:(?:la|el|le|de|del|do)\s)?"
    r"(?:(?P<word>[^\W\d_]{3,12})\.?,?\s+(?:of\s+|d[eo]l?\s+|des\s+jahres\s+)?)?"
    r"\b(?P<y>(?:19[3-9]|20[0-4])\d)(?![\d€$%]|\s?[€$%])"
    r"(?:\s?(?:г(?:од[ау]?|\.)|yılı?n?da|['’]?[dt][ea]|년|年))?",
    re.IGNORECASE,
)
MONTHS_ELSEWHERE = {
    name: number
    for number, names in enumerate(
        (
            "jan ener enero gennaio styczn янв ocak", "feb fév fev febb lut фев şubat", "mär maart mars marz março marc мар mart",
            "abr apr avr kwie апр nisan", "may mai mag maggio maj мая май mayıs mei", "jun juin giu czerw июн haziran",
            "jul juil lugl lip июл temmuz", "ago aug aoû aou sierp авг ağustos", "sep set wrze сен eylül",
            "okt oct out ott paźdz окт ekim", "nov listop ноя kasım", "dez dic déc dec grud дек aralık",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
SEASONS_ELSEWHERE = {
    "frühjahr": 3, "frühling": 3, "primavera": 3, "printemps": 3, "весн": 3, "lente": 3, "bahar": 3, "ilkbahar": 3,
    "voorjaar": 3, "wiosn": 3, "vår": 3, "latem": 6, "lato": 6, "sommar": 6, "najaar": 9, "jesie": 9, "höst": 9, "zimą": 12,
    "zimy": 12, "vinter": 12,
    "sommer": 6, "verano": 6, "verão": 6, "été": 6, "estate": 6, "лет": 6, "zomer": 6, "yaz": 6,
    "herbst": 9, "otoño": 9, "outono": 9, "automne": 9, "autunno": 9, "осен": 9, "herfst": 9, "sonbahar": 9,
    "winter": 12, "invierno": 12, "inverno": 12, "hiver": 12, "зим": 12, "kış": 12,
}  # fmt: skip
