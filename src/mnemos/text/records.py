"""Records of a space for archives: each cube with its versions, facts and links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from mnemos.cube import MemCube, to_micros
from mnemos.embed.base import Progress
from mnemos.errors import Conflict, InvalidInput
from mnemos.facts import Fact, Link, StoredFact
from mnemos.guard.secrets import redact_cube
from mnemos.store.values import Filter
from mnemos.text.encode.archived import check_cube, check_shape, check_stated
from mnemos.text.memory import TextMemory

PAGE = 1_000
FACT = {  # names in an archive, and those of `Fact`
    **{name: name for name in ("subject", "attribute", "value", "exclusive", "negated")}, "begin": "start", "stop": "end",
}  # fmt: skip
TIMES = ("since", "until", "ended", "ended_by")
RENAMED_LINKS = {"recalled with": "co-recalled"}  # in archives of version 0.1


def dump(memory: TextMemory) -> Iterator[dict[str, Any]]:
    """Yield a record for each text cube, in the order of writing; other forms are derived from these.

    {"cube": ..., "versions": [earlier ones, oldest first], "facts": [...], "links": [to other cubes]}
    """
    after = 0
    while rows := memory.store.select(Filter(state=None, derived=False), after=after, limit=PAGE):
        after, cubes = rows[-1][0], [cube for _, cube in rows]
        ids = [cube.id for cube in cubes]
        facts: dict[str, list[dict[str, Any]]] = {}
        for f in memory.store.facts.of(memory.store.keys_of(ids)):
            row = {n: getattr(f.fact, name) for n, name in FACT.items()} | {n: getattr(f, n) for n in TIMES}
            facts.setdefault(f.cube, []).append(row)
        links: dict[str, list[dict[str, Any]]] = {}
        for link in sorted(memory.store.links.find(ids, both=False), key=lambda x: (x.kind, x.b)):
            links.setdefault(link.a, []).append({"b": link.b, "kind": link.kind, "weight": link.weight})
        for cube in (c for c in cubes if c.form == "text"):
            past = memory.store.versions(cube.id)[:-1] if cube.version > 1 else []
            yield {
                "cube": cube.to_dict(), "versions": [v.to_dict() for v in past],
                "facts": facts.get(cube.id, []), "links": links.get(cube.id, []),
            }  # fmt: skip


def restore(
    memory: TextMemory, records: Iterable[Mapping[str, Any]], progress: Progress | None = None
) -> tuple[int, int]:
    """Write the records of `dump`, all or none; return (cubes added, cubes skipped because they exist).

    Ids, times and versions are kept. Where the space already has a cube, the longer history wins if it continues the
    shorter one. Raises InvalidInput for a malformed record, and Conflict when an id belongs to a cube with another
    history; nothing is stored then. Links to cubes that do not exist are left out. Where a record has no facts,
    `Space.consolidate` reads them from the text.

    A record has the limits of `add`, and its secrets are redacted or refused as there; what it states is then read again.
    """
    chains: dict[str, list[MemCube]] = {}
    stated: dict[str, list[StoredFact] | None] = {}
    links: list[Link] = []
    now, secrets = memory.clock(), memory.secrets
    for i, record in enumerate(records):
        chain, facts, found = _admit(record, memory.name, f"record {i}", now, secrets)
        if chains.setdefault(chain[-1].id, chain) is not chain:
            raise InvalidInput(f"record {i}: the cube {chain[-1].id!r} came before. Nothing was stored.")
        stated[chain[-1].id] = facts
        links += found
    new: list[MemCube] = []
    skipped = 0
    for chain in chains.values():
        existing = memory.store.versions(chain[-1].id)
        if not existing:
            new += chain
        elif _begins(existing, chain):
            skipped += 1
        elif _begins(chain, existing):
            new += chain[len(existing) :]
        else:
            raise Conflict(
                f"cube {chain[-1].id!r} is already in space {memory.name!r} with another history. Import into "
                "an empty space, or delete the cube first. Nothing was stored."
            )
    entries = memory.encode(new, progress)
    written = {cube.id for cube in new}
    with memory.store.transaction():
        memory.store.insert(entries, memory.model_key())
        present = memory.store.get(
            [*written, *(x.b for x in links), *(f.ended_by for s in stated.values() for f in s or () if f.ended_by)]
        )
        kept = [f for name in written for f in stated[name] or ()]
        keys = dict(zip(written, memory.store.keys_of(list(written)), strict=True))
        memory.store.facts.put(_placed(f, keys[f.cube], f.ended_by in present) for f in kept)
        wanted = [x for x in links if x.a in written and x.b in present]
        memory.store.links.put(wanted, to_micros(memory.clock()))
        unknown = [name for name in written if stated[name] is None]
        memory.store.queue.add(unknown, "the archive did not say what it states")
    return len(chains) - skipped, skipped


def _admit(
    record: Mapping[str, Any], space: str, where: str, now: datetime, secrets: str
) -> tuple[list[MemCube], list[StoredFact] | None, list[Link]]:
    """Return the versions, facts and links of a record. Raises InvalidInput for what `add` would refuse."""
    check_shape(record, where)
    given = _chain(record, space, where)
    for cube in given:
        check_cube(cube, where, now)
    facts, links = _life(record, given[-1].id, where)
    check_stated(facts, links, given[-1].text, where)
    chain = [redact_cube(cube, secrets) for cube in given]
    return chain, facts if chain[-1].text == given[-1].text else None, links


def _placed(f: StoredFact, n: int, over: bool) -> StoredFact:
    """Return a fact with the key of its cube; one that was ended by a cube that does not exist holds again."""
    return StoredFact(f.cube, n, f.index, f.fact, f.since, *((f.until, f.ended, f.ended_by) if over else ()))


def _life(record: Mapping[str, Any], name: str, where: str) -> tuple[list[StoredFact] | None, list[Link]]:
    """Return the facts of a record (None when it has none) and its links."""
    try:
        links = [Link(name, str(x["b"]), _kind(x["kind"]), float(x["weight"])) for x in record.get("links", ())]
        if "facts" not in record:
            return None, links
        facts = [
            StoredFact(name, 0, i, Fact(*(row[n] for n in FACT)), *(row[n] for n in TIMES))
            for i, row in enumerate(record["facts"])
        ]
        for f in facts:
            texts, numbers = (f.fact.subject, f.fact.attribute, f.fact.value), (f.since, f.fact.start, f.fact.end)
            optional = (f.until, f.ended)
            if not (
                all(isinstance(t, str) for t in texts)
                and all(isinstance(n, int) and abs(n) < 2**62 for n in numbers)
                and all(n is None or (isinstance(n, int) and abs(n) < 2**62) for n in optional)
                and isinstance(f.ended_by, str | None)
            ):
                raise TypeError("a fact of another shape")
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise InvalidInput(f"{where}: not the facts and links of an archive ({error}).") from error
    return facts, links


def _kind(name: object) -> str:
    return RENAMED_LINKS.get(str(name), str(name))


def _begins(longer: Sequence[MemCube], shorter: Sequence[MemCube]) -> bool:
    """Tell whether the history `longer` begins with `shorter`."""
    return len(shorter) <= len(longer) and all(
        (a.version, a.text, a.at, a.learned) == (b.version, b.text, b.at, b.learned)
        for a, b in zip(longer, shorter, strict=False)
    )


def _chain(record: Mapping[str, Any], space: str, where: str) -> list[MemCube]:
    try:
        cubes = [MemCube.from_dict({**data, "space": space}) for data in (*record["versions"], record["cube"])]
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise InvalidInput(f"{where}: not a cube of an archive ({error}).") from error
    if [c.version for c in cubes] != list(range(1, len(cubes) + 1)) or len({c.id for c in cubes}) != 1:
        raise InvalidInput(f"{where}: the versions of a cube must be 1, 2, ... of one id.")
    return cubes
