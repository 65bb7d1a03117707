"""Programs over lists, found by search within a budget: abstract routines, whole solutions, or no memory.

A task is three examples of a hidden program. Programs are made of recurring routines of two operations with a parameter. In the
first part of a stream a routine comes with one more operation, short enough for a blind search; later two routines are
composed in ways not seen before, which is too long for it. In the second half there are new routines. What is solved is
abstracted: pairs of operations that two solutions share become concepts, with the numbers as parameters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from random import Random
from typing import Literal

from mnemos.space import Space

BUDGET = 6_500  # programs that are tried for a task
Op = tuple[str, int]  # a name and its parameter; 0: it has none
Program = tuple[Op, ...]
Memory = Literal["none", "solutions", "concepts", "frozen concepts"]
RUN: dict[str, Callable[[list[int], int], list[int]]] = {
    "reverse": lambda x, n: x[::-1],
    "sort": lambda x, n: sorted(x),
    "double": lambda x, n: [2 * v for v in x],
    "evens": lambda x, n: [v for v in x if v % 2 == 0],
    "sums": lambda x, n: [sum(x[: i + 1]) for i in range(len(x))],
    "unique": lambda x, n: list(dict.fromkeys(x)),
    "add": lambda x, n: [v + n for v in x],
    "drop": lambda x, n: x[n:],
}
NUMBERS = {"add": (1, 2, 3, 4, 5), "drop": (1, 2, 3, 4, 5)}
OPS: tuple[Op, ...] = tuple((name, n) for name in RUN for n in NUMBERS.get(name, (0,)))
ROUTINES = (
    ("sort", "drop"), ("add", "sums"), ("evens", "add"), ("double", "drop"), ("add", "evens"), ("drop", "sums"),
)  # fmt: skip
OLD = 3  # routines of the first half


def run(program: Program, values: Sequence[int]) -> list[int]:
    """Return what a program makes of a list."""
    found = list(values)
    for name, number in program:
        found = RUN[name](found, number)
    return found


def stream(seed: int, each: int) -> list[Program]:
    """Return programs: routines with one operation, compositions, then the same with new routines; `each` of each."""
    rng = Random(seed)

    def routine(names: Sequence[tuple[str, ...]]) -> Program:
        return tuple((name, rng.choice(NUMBERS.get(name, (0,)))) for name in rng.choice(names))

    found: list[Program] = []
    for names in (ROUTINES[:OLD], ROUTINES[OLD:]):
        found += [(*routine(names), rng.choice(OPS)) for _ in range(each)]
        found += [(*routine(names), *routine(names)) for _ in range(each)]
    return found


def solved(space: Space, memory: Memory, seed: int, each: int) -> list[bool]:
    """Return for each task of a stream whether a program was found within the budget."""
    rng, bank = Random(seed + 1), space.cases(f"{memory} {seed}")
    programs, solutions, right = stream(seed, each), list[Program](), list[bool]()
    for i, hidden in enumerate(programs):
        inputs = [[rng.randrange(-9, 20) for _ in range(rng.randrange(11, 16))] for _ in range(3)]
        outputs = [run(hidden, values) for values in inputs]
        known: list[Program] = []
        if memory == "solutions":
            known = list(dict.fromkeys(solutions))[-20:]
        elif memory != "none":
            cues = _cues(inputs, outputs)
            known = [p for case in bank.find(cues, 6, concepts=True) for p in _instances(case.plan)]
        found = _search(known, inputs, outputs)
        right.append(found is not None)
        if found is not None:
            solutions.append(found)
            if memory == "concepts" or (memory == "frozen concepts" and i < len(programs) // 2):
                _abstract(space, f"{memory} {seed}", solutions, _cues(inputs, outputs))
    return right


def _search(known: Sequence[Program], inputs: Sequence[list[int]], outputs: Sequence[list[int]]) -> Program | None:
    """Return the first program that fits all examples: what is known with what is known, and with operations, then all."""
    parts: list[Program] = [*known, *((op,) for op in OPS)]

    def candidates() -> Iterator[Program]:
        yield from ((*a, *b) for a, b in product(parts, parts))
        yield from (p for p in product(OPS, repeat=3))

    for tries, program in enumerate(candidates()):
        if tries >= BUDGET:
            return None
        if all(run(program, a) == b for a, b in zip(inputs, outputs, strict=True)):
            return program
    return None


def _abstract(space: Space, name: str, solutions: Sequence[Program], cues: str) -> None:
    """Store pairs of operations that two solutions share as concepts, or revise what is known of one."""
    bank = space.cases(name)
    pairs = Counter(pair for p in dict.fromkeys(solutions) for pair in {(a[0], b[0]) for a, b in pairwise(p)})
    newest = {(a[0], b[0]) for a, b in pairwise(solutions[-1])}
    known = {case.name: case for case in bank.all()}
    for pair in newest:
        if pairs[pair] >= 2:
            title = " then ".join(pair)
            before = known[title].situation if title in known else ""
            words = " ".join(dict.fromkeys(f"{before} {cues}".split()))
            needs = {f"n{i}": "1 to 5" for i, op in enumerate(pair) if op in NUMBERS}
            bank.add(words, " ".join(pair), name=title, parameters=needs, reward=1.0)


def _instances(plan: str) -> list[Program]:
    names = plan.split()
    return [tuple(zip(names, numbers, strict=True)) for numbers in product(*(NUMBERS.get(n, (0,)) for n in names))]


def _cues(inputs: Sequence[list[int]], outputs: Sequence[list[int]]) -> str:
    """Return words for what can be seen of the examples: length, order, evenness, growth."""
    shorter = all(len(b) < len(a) for a, b in zip(inputs, outputs, strict=True))
    rising = all(b == sorted(b) for b in outputs)
    even = all(v % 2 == 0 for b in outputs for v in b)
    larger = all(sum(b) > sum(a) for a, b in zip(inputs, outputs, strict=True))
    seen = (("shorter", shorter), ("rising", rising), ("evenness", even), ("larger", larger))
    return " ".join(["list", *(word if is_so else f"un{word}" for word, is_so in seen)])
