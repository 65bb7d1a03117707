"""The filter language of metadata: MongoDB's operators, checked and compiled to a function of the metadata.

`{"topic": "house", "rating": {"$gte": 4}, "$or": [{"tags": {"$contains": "new"}}, {"address.city": "Porto"}]}`. Numbers
are compared by value (4 is 4.0, integers exactly), true is no number, and a dict is equal in any order of its keys.
What cannot be compared, such as a text and a number, does not match; nothing raises once the filter is compiled.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any

from mnemos.errors import InvalidInput

MAX_CONDITIONS = 256  # of one filter
MAX_VALUES = 5_000  # in its lists and literals
MAX_DEPTH = 16
MAX_KEY = 1_000  # characters of a path
MAX_BITS = 4_096  # of an integer
PIECES = 8  # texts that are looked for first, at most
MISSING: Any = object()  # the value of a field that is not there
Test = Callable[[Any], bool]  # takes the value of a field, or MISSING
Matcher = Callable[[Mapping[str, Any]], bool]
_ORDER: dict[str, Callable[[Any, Any], bool]] = {"$gt": gt, "$gte": ge, "$lt": lt, "$lte": le}
FIELD_OPERATORS = ("$eq", "$ne", *_ORDER, "$in", "$nin", "$contains", "$icontains", "$exists", "$not")
GROUP_OPERATORS = ("$and", "$or", "$not")


def matcher(where: Mapping[str, Any]) -> Matcher:
    """Compile a filter. Raises InvalidInput for an unknown operator, a wrong operand, or more than the bounds allow.

    Costs O(filter); the function about 0.3 us for each condition that it has to look at.
    """
    return _Compiler().group(where, 0)


def condition(wanted: Any) -> Test:
    """Compile what one field is compared with: a value, or a dict of operators. Raises InvalidInput."""
    return _Compiler().condition(wanted, 0)


def pieces_of(where: Mapping[str, Any]) -> list[str]:
    """Return texts that the JSON of a matching row has: names of fields, and whole strings. A quick test, before the function."""
    found: list[str] = []
    for key, wanted in where.items():
        if key.startswith("$") or condition(wanted)(MISSING):
            continue
        found.append('"' + json.dumps(key.split(".")[0])[1:-1])
        if isinstance(wanted, str):
            found.append(json.dumps(wanted))
    return found[:PIECES]


class _Compiler:
    """Compiles one filter, and counts what it holds."""

    def __init__(self) -> None:
        self._conditions = self._values = 0

    def group(self, where: Any, depth: int) -> Matcher:
        """Compile an object of fields and groups, all of which must match."""
        if not isinstance(where, Mapping):
            raise InvalidInput(f'where: {where!r:.60} is not an object of conditions, such as {{"topic": "travel"}}.')
        _check_depth(depth)
        parts = [self._part(key, wanted, depth) for key, wanted in where.items()]
        return parts[0] if len(parts) == 1 else lambda data: all(part(data) for part in parts)

    def _part(self, key: Any, wanted: Any, depth: int) -> Matcher:
        if not isinstance(key, str):
            raise InvalidInput(f"a key of where is {key!r:.60}, expected a string: pass {str(key)!r:.60}.")
        self._count()
        if key in ("$and", "$or"):
            parts = [self._inner(key, part, depth) for part in _list(key, wanted)]
            if key == "$and":
                return lambda data: all(part(data) for part in parts)
            return lambda data: any(part(data) for part in parts)
        if key == "$not":
            part = self._inner(key, wanted, depth)
            return lambda data: not part(data)
        if key.startswith("$"):
            hint = f' belongs to a field: {{"FIELD": {{"{key}": ...}}}}' if key in FIELD_OPERATORS else " is unknown"
            raise InvalidInput(
                f"where: the operator {key:.60}{hint}. Between conditions use {', '.join(GROUP_OPERATORS)}."
            )
        if len(key) > MAX_KEY:
            raise InvalidInput(f"where: a key has {len(key):,} characters, the limit is {MAX_KEY:,}.")
        test, read = self.condition(wanted, depth + 1), _reader(key)
        return lambda data: test(read(data))

    def _inner(self, operator: str, where: Any, depth: int) -> Matcher:
        if where == {}:
            raise InvalidInput(f"where: an empty condition in {operator} says nothing. Leave it out.")
        return self.group(where, depth + 1)

    def condition(self, wanted: Any, depth: int) -> Test:
        """Compile a value to be equal to, or operators, all of which must match."""
        _check_depth(depth)
        if not (isinstance(wanted, Mapping) and any(str(key).startswith("$") for key in wanted)):
            return _equal(self._literal(wanted, depth))
        tests = [self._operator(name, operand, depth) for name, operand in wanted.items()]
        return tests[0] if len(tests) == 1 else lambda value: all(test(value) for test in tests)

    def _operator(self, name: Any, operand: Any, depth: int) -> Test:
        self._count()
        if name == "$not":
            return _negate(self.condition(operand, depth + 1))
        if name in ("$in", "$nin"):
            found = _any_of([self._literal(value, depth + 1) for value in _list(name, operand)])
            return found if name == "$in" else _negate(found)
        if name in ("$eq", "$ne"):
            equal = _equal(self._literal(operand, depth))
            return equal if name == "$eq" else _negate(equal)
        if name in _ORDER:
            return _ordered(name, operand)
        if name == "$contains":
            return _contains(self._literal(operand, depth))
        if name == "$icontains":
            return _contains_text(operand)
        if name == "$exists":
            if not isinstance(operand, bool):
                raise InvalidInput(f"where: $exists is {operand!r:.60}, expected true or false.")
            return lambda value: (value is not MISSING) is operand
        raise InvalidInput(f"where: unknown operator {name!r:.60}. Use {', '.join(FIELD_OPERATORS)}.")

    def _literal(self, value: Any, depth: int) -> Any:
        """Check a value to compare with and return it: what JSON can hold."""
        _check_depth(depth)
        self._values += 1
        if self._values > MAX_VALUES:
            raise InvalidInput(f"where: there are more than {MAX_VALUES:,} values. Ask in several searches.")
        if isinstance(value, Mapping):
            for key in value:
                if not isinstance(key, str):
                    raise InvalidInput(f"where: a key of {value!r:.60} is {key!r:.60}, expected a string.")
                if key.startswith("$"):
                    raise InvalidInput(f"where: {key!r:.60} stands inside a value, where operators mean nothing.")
            return {key: self._literal(part, depth + 1) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [self._literal(part, depth + 1) for part in value]
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise InvalidInput(f"where: a number has more than {MAX_BITS:,} bits. Compare with a text.")
        if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        raise InvalidInput(
            f"where: {value!r:.60} is no value of JSON. Compare with strings, numbers, booleans or None."
        )

    def _count(self) -> None:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise InvalidInput(
                f"where: there are more than {MAX_CONDITIONS} conditions. Use $in for many values of one field, or ask in "
                "several searches."
            )


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidInput(f"where: it is nested more than {MAX_DEPTH} deep.")


def _list(operator: str, operand: Any) -> Sequence[Any]:
    if not isinstance(operand, list | tuple) or not operand:
        raise InvalidInput(f"where: {operator} is {operand!r:.60}, expected a list with at least one item.")
    return operand


def _reader(path: str) -> Matcher:
    """Return a function that reads "a.b": the key "a.b" itself, or "b" within "a"; a number is a place in a list."""
    keys = path.split(".")

    def read(data: Mapping[str, Any]) -> Any:
        value: Any = data.get(path, MISSING)
        if value is not MISSING or len(keys) == 1:
            return value
        value = data
        for key in keys:
            if isinstance(value, Mapping):
                value = value.get(key, MISSING)
            elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key[:9]) < len(value):
                value = value[int(key[:9])]
            else:
                return MISSING
        return value

    return read


def _kind(value: Any) -> Any:
    """Return what a value can be compared with: numbers with numbers, and true is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return type(value)
    return float


def same(a: Any, b: Any) -> bool:
    """Tell whether two values of JSON are equal: as deep as `b` goes."""
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(same(a[key], part) for key, part in b.items())
    if isinstance(b, list):
        return isinstance(a, list) and len(a) == len(b) and all(map(same, a, b))
    return _kind(a) is _kind(b) and bool(a == b)


def _equal(wanted: Any) -> Test:
    return lambda value: same(value, wanted)


def _negate(test: Test) -> Test:
    return lambda value: not test(value)


def _any_of(wanted: list[Any]) -> Test:
    plain = {(_kind(value), value) for value in wanted if not isinstance(value, dict | list)}
    nested = [value for value in wanted if isinstance(value, dict | list)]

    def test(value: Any) -> bool:
        if isinstance(value, dict | list):
            return any(same(value, one) for one in nested)
        return (_kind(value), value) in plain

    return test


def _ordered(name: str, wanted: Any) -> Test:
    compare, kind = _ORDER[name], _kind(wanted)
    if kind not in (float, str) or (isinstance(wanted, float) and not math.isfinite(wanted)):
        raise InvalidInput(f"where: {name} is {wanted!r:.60}, expected a number or a text, such as an ISO 8601 time.")
    return lambda value: _kind(value) is kind and compare(value, wanted)


def _contains(wanted: Any) -> Test:
    """Test a list for an element, and a text for a part."""

    def test(value: Any) -> bool:
        if isinstance(value, list):
            return any(same(part, wanted) for part in value)
        return isinstance(value, str) and isinstance(wanted, str) and wanted in value

    return test


def _contains_text(wanted: Any) -> Test:
    if not isinstance(wanted, str):
        raise InvalidInput(f"where: $icontains is {wanted!r:.60}, expected a text.")
    part = wanted.casefold()

    def test(value: Any) -> bool:
        texts = value if isinstance(value, list) else [value]
        return any(isinstance(text, str) and part in text.casefold() for text in texts)

    return test
