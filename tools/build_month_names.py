"""Write src/mnemos/reason/month_names.json: the months of other languages, as they stand in a date.

The names are those of dateparser (BSD-3-Clause), which has them from the Unicode CLDR. Abbreviations are left out, as words of
other languages are written like them ("2 rugs" is no day of a Lithuanian September), and so is a name that is another month
elsewhere.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path

from build_relative_words import LANGUAGES, UNSPACED

from mnemos.reason.elsewhere import plain

OUT = Path(__file__).parents[1] / "src" / "mnemos" / "reason" / "month_names.json"
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
SHORT = {  # names that have no longer form
    "mai", "maj", "mei", "maí", "máj", "май", "мая", "мај", "юни", "юли", "јун", "јул", "ינו", "מרץ", "מרס", "מאי", "मई", "जून",
    "মে", "মার্চ", "জুন", "جون", "اوت", "mac", "ogo",
}  # fmt: skip
FORMS = (  # as they stand behind "in", beyond those of dateparser
    "январе феврале марте апреле мае июне июле августе сентябре октябре ноябре декабре",
    "січні лютому березні квітні травні червні липні серпні вересні жовтні листопаді грудні",
    "styczniu lutym marcu kwietniu maju czerwcu lipcu sierpniu wrześniu październiku listopadzie grudniu",
    "lednu únoru březnu dubnu květnu červnu červenci srpnu září říjnu listopadu prosinci",
    "tammikuussa helmikuussa maaliskuussa huhtikuussa toukokuussa kesäkuussa heinäkuussa elokuussa syyskuussa lokakuussa "
    "marraskuussa joulukuussa",
    "januárban februárban márciusban áprilisban májusban júniusban júliusban augusztusban szeptemberben októberben novemberben "
    "decemberben",
)
CUT = re.compile(r"[\d.()॰]|^[ivx]+$")  # of an abbreviation, or a number of the Romans
ABBREVIATED = 5  # letters of an abbreviation at most


def table() -> dict[str, int]:
    """Return the number of each month by its names in small letters."""
    found: dict[str, set[int]] = {}
    for language in LANGUAGES:
        if language in UNSPACED:
            continue
        info = importlib.import_module(f"dateparser.data.date_translation_data.{language}").info
        for number, month in enumerate(MONTHS, 1):
            names = [plain(name) for name in info.get(month, ())]
            for name in names:
                short = len(name) <= ABBREVIATED and any(len(n) > len(name) and n.startswith(name) for n in names)
                whole = len(name) > 3 and not short
                if (whole or name in SHORT) and not CUT.search(name) and " " not in name:
                    found.setdefault(name, set()).add(number)
    for names in FORMS:
        for number, name in enumerate(names.split(), 1):
            found.setdefault(name, set()).add(number)
    return {name: min(numbers) for name, numbers in sorted(found.items()) if len(numbers) == 1}


if __name__ == "__main__":
    OUT.write_text(json.dumps(table(), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
