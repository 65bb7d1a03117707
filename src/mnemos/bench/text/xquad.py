"""XQuAD (Artetxe et al., ACL 2020, arXiv 1910.11856): a question finds its paragraph, in its language and in English.

One space per language, with the 240 paragraphs that all languages share. Split `same` asks in the language of the
paragraphs. Split `to-english` asks every other language's questions of the English paragraphs. The category is the
language of the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark
from mnemos.bench.text import retrieval
from mnemos.bench.text.retrieval_tables import categories, quality, speed
from mnemos.bench.text.task import Haystack, Question, Task, checksum, existing, read_json
from mnemos.errors import InvalidInput

TOLD = "2020-01-01"  # XQuAD has no times: all paragraphs have one


def load(data: Path) -> Task:
    """Read the folder with `xquad.LANGUAGE.json`. Raises InvalidInput when there is none."""
    existing(data, "the folder with xquad.en.json and its other languages")
    sets = {file.name.split(".")[1]: read_json(file, "xquad.*.json") for file in sorted(data.glob("xquad.*.json"))}
    if not sets:
        raise InvalidInput(f"{data}: no xquad.*.json in it. Give the folder of XQuAD, with xquad.en.json.")
    haystacks = []
    for language, value in sets.items():
        asked = [*questions(value, language, "same")]
        if language == "en":
            asked += [q for other, v in sets.items() if other != "en" for q in questions(v, other, "to-english")]
        haystacks.append(Haystack(f"xquad-{language}", messages(value), asked))
    return Task("xquad", {"paragraph": "cubes"}, haystacks, {"file": data.name, "sha256": checksum(data)})


def messages(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the paragraphs of one language."""
    return [{"id": name, "content": paragraph["context"], "at": TOLD} for name, paragraph in paragraphs(value)]


def questions(value: Mapping[str, Any], language: str, split: str) -> Iterator[Question]:
    """Yield the questions of one language, whose gold is their paragraph."""
    for name, paragraph in paragraphs(value):
        for item in paragraph["qas"]:
            gold = {"paragraph": (name,)}
            yield Question(f"{language}/{item['id']}", item["question"], gold, language, split, TOLD)


def paragraphs(value: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the paragraphs with their ids, `ARTICLE.PARAGRAPH`, which are the same in every language."""
    for article, entry in enumerate(value["data"]):
        for number, paragraph in enumerate(entry["paragraphs"]):
            yield f"{article}.{number}", paragraph


@benchmark(
    "xquad",
    help="Recall of the paragraph of a question in eight languages, and from each to English.",
    options=retrieval.Options,
    tables={
        "xquad": quality("paragraph"),
        "xquad-language": categories("paragraph", "hit@1"),
        "xquad-speed": speed,
    },
)
def run(options: retrieval.Options, progress: Progress) -> dict[str, Any]:
    """Store the paragraphs of each language in a space and ask their questions."""
    return retrieval.measure(load(options.data), options, progress)
