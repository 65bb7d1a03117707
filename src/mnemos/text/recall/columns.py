"""The files of a large corpus: its columns, names, words and vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mnemos.errors import IndexDamaged
from mnemos.index import files
from mnemos.index.mapped_rows import MappedRows
from mnemos.text.recall.mapped import MappedCorpus

KIND = "corpus"
FORMAT = 1


def save(corpus: MappedCorpus, folder: Path, seq: int, model: int | None) -> None:
    """Write a corpus that is complete up to a sequence number; a crash leaves the former one."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = files.generation(folder) + 1
    names = [*corpus.mapped.save(folder, number), *corpus.rows.save(folder, number)]
    for name, array in corpus.columns().items():
        names.append(f"{name}-{number:06}.npy")
        files.write_array(folder / names[-1], array)
    words = f"names-{number:06}.json"
    (folder / words).write_text(json.dumps(corpus.names()), encoding="utf-8")
    files.sync(folder / words)
    about = {
        "format": FORMAT, "seq": seq, "model": model, "count": len(corpus), "dimension": corpus.rows.dimension,
        "tags": sorted(corpus.mapped.tags),
    }  # fmt: skip
    files.commit(folder, KIND, number, dict.fromkeys([*names, words]), about)


def open(folder: Path, model: int | None) -> tuple[MappedCorpus, int]:
    """Return the corpus that `save` wrote, without its vector index, and the sequence number. Raises IndexDamaged."""
    saved = files.read(folder, KIND)
    about, number = saved.about, saved.generation
    if about["format"] != FORMAT or about["model"] != model:
        raise IndexDamaged(f"{folder} was made by another version or for another embedder: make the index again.")
    for name, (_, sum_) in saved.files.items():
        if not name.startswith(("rows-", "positions-", "counts-")) and files.checksum(folder / name) != sum_:
            raise IndexDamaged(f"{folder / name} was changed or damaged: make the index again from its rows.")
    try:
        corpus = MappedCorpus(MappedRows(about["dimension"]), None)
        corpus.mapped.open(folder, number)
        corpus.mapped.tags = frozenset(about["tags"])
        corpus.rows.open(folder, number)
        read = {name: np.load(folder / f"{name}-{number:06}.npy", allow_pickle=False) for name in corpus.columns()}
        corpus.fill(read, json.loads((folder / f"names-{number:06}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError) as error:
        raise IndexDamaged(f"{folder} cannot be read ({error}): make the index again from its rows.") from error
    if len({len(corpus), len(corpus.mapped), len(corpus.rows), about["count"]}) > 1:
        raise IndexDamaged(f"{folder} has files that do not belong together: make the index again from its rows.")
    return corpus, int(about["seq"])
