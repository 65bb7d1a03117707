"""Numbers from eleven on in words of other languages than English, as ages and decades have them."""

from __future__ import annotations

import re
from functools import cache

from mnemos.reason.elsewhere import number_words

# By language: from 11 to 19 (where they are words of their own), 20 to 90, and how a ten and a unit are joined.
_WORDS = {
    "de": ("elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn",
           "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig", "{unit}und{ten}"),
    "nl": ("elf twaalf dertien veertien vijftien zestien zeventien achttien negentien",
           "twintig dertig veertig vijftig zestig zeventig tachtig negentig", "{unit}en{ten}"),
    "es": ("once doce trece catorce quince dieciséis diecisiete dieciocho diecinueve",
           "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa", "{ten} y {unit}"),
    "fr": ("onze douze treize quatorze quinze seize dix-sept dix-huit dix-neuf",
           "vingt trente quarante cinquante soixante soixante-dix quatre-vingt quatre-vingt-dix", "{ten} {unit}"),
    "it": ("undici dodici tredici quattordici quindici sedici diciassette diciotto diciannove",
           "venti trenta quaranta cinquanta sessanta settanta ottanta novanta", "{ten}{unit}"),
    "pt": ("onze doze treze catorze quinze dezasseis dezassete dezoito dezanove",
           "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa", "{ten} e {unit}"),
    "ru": ("одиннадцать двенадцать тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать",
           "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто", "{ten} {unit}"),
    "pl": ("jedenaście dwanaście trzynaście czternaście piętnaście szesnaście siedemnaście osiemnaście dziewiętnaście",
           "dwadzieścia trzydzieści czterdzieści pięćdziesiąt sześćdziesiąt siedemdziesiąt osiemdziesiąt dziewięćdziesiąt",
           "{ten} {unit}"),
    "sv": ("elva tolv tretton fjorton femton sexton sjutton arton nitton",
           "tjugo trettio fyrtio femtio sextio sjuttio åttio nittio", "{ten}{unit}"),
    "tr": ("", "yirmi otuz kırk elli altmış yetmiş seksen doksan", "{ten} {unit}"),
}  # fmt: skip
_SHORTENED = {  # tens that lose or change a letter in front of a unit, and other spellings
    "vent": 20, "trent": 30, "quarant": 40, "cinquant": 50, "sessant": 60, "veintiún": 21, "veintiun": 21, "dezesseis": 16,
    "dezessete": 17, "dezenove": 19, "quatorze": 14, "vingt et un": 21, "ventuno": 21, "ventotto": 28, "dreissig": 30,
    "девятнадцати": 19, "двадцати": 20, "тридцати": 30, "сорока": 40,
}  # fmt: skip
_DIGITS = "一二三四五六七八九"
_CHINESE = re.compile(rf"(?P<ten>[{_DIGITS}]?)十(?P<unit>[{_DIGITS}]?)")
_ONE_WORD = {"es": {20: "veinti"}}  # of 21 to 29


@cache
def large_numbers() -> dict[str, int]:
    """Return the numbers from 1 to 99 by their words, in small letters; hyphens are spaces."""
    found = dict(_SHORTENED)
    for language, (teens, tens, joined) in _WORDS.items():
        units = number_words(language)
        found |= units
        found |= {word.replace("-", " "): n for n, word in enumerate(teens.split(), 11)}
        for n, ten in enumerate(tens.split(), 2):
            found[ten.replace("-", " ")] = 10 * n
            prefix = _ONE_WORD.get(language, {}).get(10 * n)
            for word, unit in units.items():
                if 1 <= unit <= 9:
                    whole = prefix + word if prefix else joined.format(ten=ten, unit=word)
                    found.setdefault(whole.replace("-", " "), 10 * n + unit)
    return found


def number_in(text: str) -> int | None:
    """Return the number that digits or words in any of the languages say; None where they say none."""
    text = text.lower().strip().replace("\u2019", "'").replace("-", " ")
    if text.isdecimal():
        return int(text)
    if match := _CHINESE.fullmatch(text):
        ten, unit = match["ten"], match["unit"]
        return 10 * (_DIGITS.index(ten) + 1 if ten else 1) + (_DIGITS.index(unit) + 1 if unit else 0)
    return large_numbers().get(text)
