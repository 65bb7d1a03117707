"""Write src/mnemos/reason/relative_words.json: how languages say "last week", "three days ago" and "next Monday".

Phrases, units and names of weekdays are those of dateparser (BSD-3-Clause), which has them from the Unicode CLDR; what
stands beside a weekday, small numbers and some phrases of the spoken language are written here.
"""

from __future__ import annotations

import importlib
import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnemos.reason.elsewhere import WORD, plain

OUT = Path(__file__).parents[1] / "src" / "mnemos" / "reason" / "relative_words.json"
LANGUAGES = (
    "es",
    "fr",
    "de",
    "it",
    "pt",
    "nl",
    "sv",
    "da",
    "nb",
    "fi",
    "is",
    "pl",
    "cs",
    "sk",
    "hu",
    "ro",
    "bg",
    "hr",
    "sr",
    "sl",
    "uk",
    "ru",
    "lt",
    "lv",
    "et",
    "el",
    "tr",
    "ar",
    "fa",
    "he",
    "hi",
    "bn",
    "th",
    "vi",
    "id",
    "ms",
    "ko",
    "ja",
    "zh",
    "zh-Hant",
    "ca",
    "eu",
    "gl",
    "af",
    "fil",
    "sw",
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
UNITS = ("day", "week", "month", "year")
UNSPACED = {"ja", "zh", "zh-Hant", "th", "ko"}
# What also means something else: "hier" is "here" in German (`reason.elsewhere` knows more of it), कल is both days beside
# today, "endemà" is the day after another; "homme", "eile" and "Jana" are words or names elsewhere.
AMBIGUOUS = {
    "hier", "morgen", "mañana", "ma", "कल", "बीता कल", "परसों", "jutro", "endemà", "sendemà", "endemà passat", "geçen gün",
    "önümüzdeki gün", "اليوم السابق", "jana", "homme", "eile", "lani", "bihar", "gaur", "sutra", "huom", "翌年", "翌月",
    "翌週", "금일", "명일", "작일",
}  # fmt: skip
# Three days "later" begin anywhere, and what was done "in three days" took them.
LATER = re.compile(r"sonra|[后後]$|후$|뒤$|^em #|^en #|^σε #|^में|में$|بعد$|خلال|^v #|^sau ")
# Beside a weekday: those before it, and those after it, for the last and for the next one.
BESIDE: dict[str, tuple[str, str, str, str]] = {  # last before, last after, next before, next after
    "es": ("último", "pasado", "próximo siguiente", "próximo siguiente que_viene"),
    "fr": ("", "dernier passé", "", "prochain suivant"),
    "de": (
        "letzten letzter letztem letztes vergangenen vorigen",
        "",
        "nächsten nächster nächstem nächstes kommenden kommender",
        "",
    ),
    "it": ("scorso scorsa", "scorso scorsa passato passata", "prossimo prossima", "prossimo prossima"),
    "pt": ("último última", "passado passada", "próximo próxima", "próximo próxima que_vem"),
    "gl": ("", "pasado", "próximo", "próximo que_vén"),
    "ca": ("", "passat", "pròxim proper", "vinent que_ve"),
    "nl": ("afgelopen vorige", "", "volgende komende aanstaande", ""),
    "af": ("verlede", "", "volgende komende", ""),
    "sv": ("förra i_förra", "", "nästa kommande", ""),
    "da": ("sidste forrige", "", "næste kommende", ""),
    "nb": ("sist forrige", "", "neste kommende", ""),
    "fi": ("viime", "", "ensi", ""),
    "pl": (
        "zeszły zeszłą ubiegły ubiegłą ostatni ostatnią",
        "",
        "przyszły przyszłą następny następną najbliższy najbliższą",
        "",
    ),
    "cs": ("minulý minulou minulé", "", "příští", ""),
    "sk": ("minulý minulú", "", "budúci budúcu", ""),
    "hu": ("múlt", "", "jövő", ""),
    "ro": ("", "trecut trecută", "", "viitor viitoare"),
    "bg": ("миналия миналата миналото", "", "следващия следващата следващото", ""),
    "hr": ("prošli prošlu prošle", "", "sljedeći sljedeću idući iduću", ""),
    "sr": ("прошли прошлу прошле", "", "следећи следећу идући идућу", ""),
    "uk": ("минулий минулої минулу минулого", "", "наступний наступної наступну наступного", ""),
    "ru": (
        "прошлый прошлую прошлое прошлой прошедшую прошедший",
        "",
        "следующий следующую следующее следующей будущую",
        "",
    ),
    "el": ("περασμένη προηγούμενη περασμένο", "", "επόμενη ερχόμενη επόμενο", ""),
    "tr": ("geçen geçtiğimiz", "", "gelecek önümüzdeki", ""),
    "ar": ("", "الماضي الماضية", "", "القادم القادمة المقبل"),
    "fa": ("", "گذشته", "", "آینده"),
    "he": ("", "שעבר", "", "הבא"),
    "hi": ("पिछले", "", "अगले", ""),
    "id": ("", "lalu yang_lalu", "", "depan mendatang"),
    "ms": ("", "lepas lalu", "", "depan"),
    "vi": ("", "vừa_rồi", "", "tới"),
    "ko": ("지난", "", "다음", ""),
    "ja": ("前の この前の", "", "次の 今度の", ""),
}
# The last and the next calendar week in front of a weekday, where a language puts it there.
WEEK_BEFORE: dict[str, tuple[str, str, str]] = {  # last, this, next
    "zh": (
        "上周 上星期 上个星期 上礼拜 上个礼拜",
        "这周 这星期 本周 这个星期 这礼拜",
        "下周 下星期 下个星期 下礼拜 下个礼拜",
    ),
    "zh-Hant": ("上週 上星期 上個星期 上禮拜", "這週 本週 這星期 這個星期", "下週 下星期 下個星期 下禮拜"),
    "ja": ("先週の 先週", "今週の 今週", "来週の 来週"),
    "ko": ("지난주 지난_주", "이번_주 이번주", "다음_주 다음주"),
}
FORMS = {  # of weekdays, beyond those of dateparser: as they stand in a sentence
    "pl": {"środę": 2, "sobotę": 5, "niedzielę": 6},
    "ru": {"среду": 2, "субботу": 5},
    "uk": {
        "середу": 2,
        "п'ятницю": 4,
        "суботу": 5,
        "неділю": 6,
        "понеділка": 0,
        "вівторка": 1,
        "середи": 2,
        "четверга": 3,
        "п'ятниці": 4,
        "суботи": 5,
        "неділі": 6,
    },
    "cs": {"středu": 2, "sobotu": 5, "neděli": 6},
    "sk": {"stredu": 2, "sobotu": 5, "nedeľu": 6},
    "hr": {"srijedu": 2, "subotu": 5, "nedjelju": 6},
    "pt": {n: d for d, n in enumerate(("segunda", "terça", "quarta", "quinta", "sexta"))},
    "hu": {
        n: d for d, n in enumerate(("hétfőn", "kedden", "szerdán", "csütörtökön", "pénteken", "szombaton", "vasárnap"))
    },
    "zh": {c: d for d, c in enumerate("一二三四五六日")} | {"天": 6},
    "zh-Hant": {c: d for d, c in enumerate("一二三四五六日")} | {"天": 6},
    "ja": {f"{c}曜": d for d, c in enumerate("月火水木金土日")},
}
PHRASES: dict[str, dict[str, tuple[str, int]]] = {
    "es": {"la semana que viene": ("week", 1), "el mes que viene": ("month", 1), "el año que viene": ("year", 1),
           "semana pasada": ("week", -1), "mes pasado": ("month", -1), "año pasado": ("year", -1),
           "próxima semana": ("week", 1), "próximo mes": ("month", 1), "próximo año": ("year", 1),
           "pasado mañana": ("day", 2), "anoche": ("day", -1), "antier": ("day", -2)},
    "fr": {"semaine dernière": ("week", -1), "mois dernier": ("month", -1), "an dernier": ("year", -1),
           "année dernière": ("year", -1), "semaine prochaine": ("week", 1), "mois prochain": ("month", 1),
           "an prochain": ("year", 1), "année prochaine": ("year", 1), "hier soir": ("day", -1), "semaine passée": ("week", -1),
           "l'an passé": ("year", -1)},
    "de": {"letzter woche": ("week", -1), "vergangene woche": ("week", -1), "vorige woche": ("week", -1),
           "kommende woche": ("week", 1), "nächster woche": ("week", 1), "letztem jahr": ("year", -1),
           "vergangenes jahr": ("year", -1), "nächstem jahr": ("year", 1), "vergangenen monat": ("month", -1),
           "kommenden monat": ("month", 1), "heute abend": ("day", 0), "gestern abend": ("day", -1),
           "letzten jahres": ("year", -1), "vorletzte woche": ("week", -2), "übernächste woche": ("week", 2)},
    "it": {"scorsa settimana": ("week", -1), "scorso mese": ("month", -1), "scorso anno": ("year", -1),
           "prossima settimana": ("week", 1), "prossimo mese": ("month", 1), "prossimo anno": ("year", 1),
           "l'altro ieri": ("day", -2), "dopodomani": ("day", 2), "stasera": ("day", 0)},
    "pt": {"semana passada": ("week", -1), "mês passado": ("month", -1), "ano passado": ("year", -1),
           "próxima semana": ("week", 1), "próximo mês": ("month", 1), "próximo ano": ("year", 1),
           "semana que vem": ("week", 1), "mês que vem": ("month", 1), "ano que vem": ("year", 1), "anteontem": ("day", -2),
           "depois de amanhã": ("day", 2)},
    "nl": {"afgelopen week": ("week", -1), "vorige maand": ("month", -1), "afgelopen jaar": ("year", -1),
           "komende week": ("week", 1), "gisteravond": ("day", -1), "vanavond": ("day", 0), "volgende maand": ("month", 1)},
    "pl": {"zeszły tydzień": ("week", -1), "w ubiegłym tygodniu": ("week", -1), "w zeszłym miesiącu": ("month", -1),
           "w przyszłym miesiącu": ("month", 1), "w ubiegłym roku": ("year", -1), "przedwczoraj": ("day", -2),
           "pojutrze": ("day", 2)},
    "ru": {"прошлая неделя": ("week", -1)},
    "tr": {"geçen ay": ("month", -1), "gelecek ay": ("month", 1), "önümüzdeki ay": ("month", 1), "dün": ("day", -1)},
    "zh": {"上星期": ("week", -1), "上个星期": ("week", -1), "上礼拜": ("week", -1), "下星期": ("week", 1),
           "下个星期": ("week", 1), "下礼拜": ("week", 1), "这周": ("week", 0), "这个星期": ("week", 0),
           "上个月": ("month", -1), "下个月": ("month", 1),
           "昨晚": ("day", -1), "今晚": ("day", 0), "昨日": ("day", -1), "今日": ("day", 0), "明日": ("day", 1),
           "今年": ("year", 0), "去年": ("year", -1), "明年": ("year", 1), "前年": ("year", -2), "后年": ("year", 2)},
    "zh-Hant": {"上週": ("week", -1), "下週": ("week", 1), "上個月": ("month", -1), "下個月": ("month", 1), "後天": ("day", 2)},
    "ja": {"昨晩": ("day", -1), "今晩": ("day", 0), "今朝": ("day", 0), "おととい": ("day", -2), "あさって": ("day", 2),
           "先々週": ("week", -2), "再来週": ("week", 2), "一昨年": ("year", -2), "再来年": ("year", 2)},
    "ko": {"지난달": ("month", -1), "다음 달": ("month", 1), "다음달": ("month", 1), "지난 주": ("week", -1),
           "지난해": ("year", -1), "다음주": ("week", 1), "그저께": ("day", -2), "모레": ("day", 2)},
}  # fmt: skip
COUNTED: dict[str, dict[str, int]] = {  # beyond those of dateparser; U is the unit
    "es": {"# U atrás": -1}, "fr": {"ça fait # U": -1}, "it": {"fra # U": 1}, "pt": {"há # U": -1, "# U atrás": -1,
    "faz # U": -1, "daqui a # U": 1}, "pl": {"za # U": 1}, "id": {"# U lalu": -1}, "ja": {"#U前": -1},
    "zh": {"#U前": -1, "#U之前": -1},
    "zh-Hant": {"#U前": -1}, "ko": {"#U 전": -1, "#U전": -1},
}  # fmt: skip
MORE_UNITS = {
    "zh": {"week": ["个星期", "个礼拜", "周"], "month": ["个月"], "day": ["天"], "year": ["年"]},
    "zh-Hant": {"week": ["個星期", "週"], "month": ["個月"], "day": ["天"], "year": ["年"]},
    "ko": {"month": ["달", "개월"], "week": ["주", "주일"], "day": ["일"], "year": ["년"]},
    "ja": {"month": ["か月", "ヶ月", "カ月", "ヵ月"], "week": ["週間"], "day": ["日"], "year": ["年"]},
    "ru": {"year": ["лет", "года"]},
    "ca": {"day": ["dies"], "week": ["setmanes"], "month": ["mesos"], "year": ["anys"]},
    "pl": {"year": ["lata", "lat"], "month": ["miesiące", "miesięcy"]},
}
NUMBERS = {
    "es": "uno una un; dos; tres; cuatro; cinco; seis; siete; ocho; nueve; diez",
    "fr": "un une; deux; trois; quatre; cinq; six; sept; huit; neuf; dix",
    "de": "ein eine einer einem einen; zwei; drei; vier; fünf; sechs; sieben; acht; neun; zehn",
    "it": "uno una un; due; tre; quattro; cinque; sei; sette; otto; nove; dieci",
    "pt": "um uma; dois duas; três; quatro; cinco; seis; sete; oito; nove; dez",
    "ca": "un una; dos dues; tres; quatre; cinc; sis; set; vuit; nou; deu",
    "gl": "un unha; dous dúas; tres; catro; cinco; seis; sete; oito; nove; dez",
    "ro": "un o; doi două; trei; patru; cinci; șase; șapte; opt; nouă; zece",
    "nl": "een één; twee; drie; vier; vijf; zes; zeven; acht; negen; tien",
    "sv": "en ett; två; tre; fyra; fem; sex; sju; åtta; nio; tio",
    "da": "en et; to; tre; fire; fem; seks; syv; otte; ni; ti",
    "nb": "en ett et; to; tre; fire; fem; seks; sju syv; åtte; ni; ti",
    "fi": "yksi; kaksi; kolme; neljä; viisi; kuusi; seitsemän; kahdeksan; yhdeksän; kymmenen",
    "pl": "jeden; dwa dwie; trzy; cztery; pięć; sześć; siedem; osiem; dziewięć; dziesięć",
    "cs": "jedním jeden; dva dvě dvěma; tři třemi; čtyři čtyřmi; pět pěti; šest šesti; sedm; osm; devět; deset",
    "ru": "один одну; два две; три; четыре; пять; шесть; семь; восемь; девять; десять",
    "uk": "один одну; два дві; три; чотири; п'ять; шість; сім; вісім; дев'ять; десять",
    "tr": "bir; iki; üç; dört; beş; altı; yedi; sekiz; dokuz; on",
    "el": "ένα μία μια; δύο δυο; τρεις τρία; τέσσερις τέσσερα; πέντε; έξι; επτά εφτά; οκτώ οχτώ; εννέα εννιά; δέκα",
    "hu": "egy; két kettő; három; négy; öt; hat; hét; nyolc; kilenc; tíz",
    "id": "satu; dua; tiga; empat; lima; enam; tujuh; delapan; sembilan; sepuluh",
    "vi": "một; hai; ba; bốn; năm; sáu; bảy; tám; chín; mười",
    "hi": "एक; दो; तीन; चार; पांच पाँच; छह; सात; आठ; नौ; दस",
    "zh": "一; 二 两; 三; 四; 五; 六; 七; 八; 九; 十",
    "zh-Hant": "一; 二 兩; 三; 四; 五; 六; 七; 八; 九; 十",
    "ja": "一; 二; 三; 四; 五; 六; 七; 八; 九; 十",
    "ko": "한; 두; 세; 네; 다섯; 여섯; 일곱; 여덟; 아홉; 열",
}
SHORT_UNITS = {"an", "zi", "ay", "år", "ár"}


def known(language: str) -> dict[str, Any]:
    """Return what dateparser knows of a language."""
    found: dict[str, Any] = importlib.import_module(f"dateparser.data.date_translation_data.{language}").info
    return found


def phrases_of(language: str, info: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Return what is said of a unit: "la semana pasada" is the week before."""
    found: dict[str, tuple[str, int]] = {}
    for meaning, texts in info.get("relative-type", {}).items():
        named = re.fullmatch(r"(in )?(\d) (day|week|month|year)( ago)?", meaning)
        if named is None or not (named[1] or named[4]):
            continue
        for text in map(plain, texts):
            if text not in AMBIGUOUS and (
                text == "hoy" or len(text) >= (2 if language in UNSPACED else 4 if text.isascii() else 3)
            ):
                found[text] = (named[3], int(named[2]) * (1 if named[1] else -1))
    return found | PHRASES.get(language, {})


def units_of(language: str, info: dict[str, Any]) -> dict[str, list[str]]:
    """Return the words of each unit, without their abbreviations."""
    if language in UNSPACED and language in MORE_UNITS:
        return {unit: MORE_UNITS[language].get(unit, []) for unit in UNITS}
    shortest = 1 if language in UNSPACED else 3
    return {
        unit: [
            word for word in dict.fromkeys([*map(plain, info.get(unit, [])), *MORE_UNITS.get(language, {}).get(unit, [])])
            if len(word) >= shortest or word in SHORT_UNITS
        ]
        for unit in UNITS
    }  # fmt: skip


def counted_of(language: str, info: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Return phrases with a number, "#", with every word of their unit: "hace # días"."""
    units = units_of(language, info)
    found: dict[str, tuple[str, int]] = {}
    for meaning, texts in info.get("relative-type-regex", {}).items():
        named = re.fullmatch(r"(in )?\\1 (day|week|month|year)( ago)?", meaning)
        if named is None or not (named[1] or named[3]):
            continue
        sign, words = 1 if named[1] else -1, units[named[2]]
        for raw in texts:
            text = plain(raw.replace(r"(\d++[.,]?\d*+)", "#"))
            parts = text.split(" ")
            at = [i for i, part in enumerate(parts) if part in words]
            if "\\" in text or not at:
                continue
            for word in words:
                found[" ".join([*parts[: at[0]], word, *parts[at[0] + 1 :]])] = (named[2], sign)
    for template, sign in COUNTED.get(language, {}).items():
        for unit, words in units.items():
            found |= {template.replace("U", word): (unit, sign) for word in words}
    return {text: meaning for text, meaning in found.items() if not LATER.search(text)}


def phrases(language: str) -> Iterator[tuple[str, str, str, int, int]]:
    """Yield each phrase of a language with its kind, unit, step and weekday."""
    info = known(language)
    shortest = 2 if language in UNSPACED else 4
    weekdays = {
        word: n for n, name in enumerate(WEEKDAYS) for word in map(plain, info[name])
        if len(word) >= shortest and not re.search(r"[()\d]", word)
    } | FORMS.get(language, {})  # fmt: skip
    for text, (unit, step) in phrases_of(language, info).items():
        yield text, "unit", unit, step, 0
    for text, (unit, step) in counted_of(language, info).items():
        yield text, "count", unit, step, 0
    for name, number in weekdays.items():
        for words, step, form in zip(
            BESIDE.get(language, ()), (-1, -1, 1, 1), ("{1} {0}", "{0} {1}") * 2, strict=False
        ):
            for word in words.split():
                yield form.format(name, word.replace("_", " ")), "weekday", "day", step, number
        for words, step in zip(WEEK_BEFORE.get(language, ()), (-1, 0, 1), strict=False):
            for word in words.split():
                yield f"{word.replace('_', ' ')} {name}", "weekday of week", "day", step, number


def bare(text: str) -> str:
    """Return a text of Latin letters without accents, as it is often typed; others as they are."""
    found = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
    return found if found.isascii() else text


def table() -> dict[str, Any]:
    """Return all phrases by their longest word, those of scripts without spaces, and the numbers."""
    words: dict[str, dict[str, list[Any]]] = {}
    unspaced: dict[str, list[Any]] = {}
    for language in LANGUAGES:
        for phrase, *meaning in phrases(language):
            if language in UNSPACED:
                if not (meaning[0] == "count" and not phrase.startswith("#")):  # those with a word before their number
                    unspaced.setdefault(phrase, [phrase, *meaning, language])
                continue
            if len(phrase.split()[-1]) < 3 and phrase.split()[-1] not in {*SHORT_UNITS, "ve", "fa"}:
                continue  # an abbreviation
            for text in dict.fromkeys((phrase, bare(phrase) if " " in phrase else phrase)):  # "môre" is not "more"
                longest = max(WORD.findall(text.replace("#", " ")), key=len)
                words.setdefault(longest, {}).setdefault(text, [text, *meaning, language])
    numbers = {
        language: {word: n for n, found in enumerate(listed.split(";"), 1) for word in found.split()}
        for language, listed in NUMBERS.items()
    }
    return {
        "words": {w: list(p.values()) for w, p in words.items()},
        "unspaced": list(unspaced.values()),
        "numbers": numbers,
    }


if __name__ == "__main__":
    OUT.write_text(
        json.dumps(table(), ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n", encoding="utf-8"
    )
    print(OUT, OUT.stat().st_size, "bytes")
