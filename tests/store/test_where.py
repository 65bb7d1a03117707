"""The filter language of metadata, against a reference evaluator, and the same in every store and surface."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput
from mnemos.store.open import open_root
from mnemos.store.values import Entry, Filter
from mnemos.store.where import MAX_CONDITIONS, MAX_DEPTH, MAX_VALUES, condition, matcher, pieces_of

DATA = {
    "rating": 4, "price": 4.5, "big": 2**63 + 1, "city": "Porto", "tags": ["new", "red", 3], "done": True, "none": None,
    "a": {"b": 1, "c": [{"d": "x"}, 2]}, "a.z": "literal", "day": "2024-05-01", "größe": "L", 'q"t': "1", "empty": [],
}  # fmt: skip


@pytest.mark.parametrize(
    "where",
    [
        {"rating": 4}, {"rating": 4.0}, {"price": {"$gt": 4}}, {"rating": {"$gte": 4, "$lt": 5}}, {"big": 2**63 + 1},
        {"big": {"$gt": 2**63}}, {"a": {"c": [{"d": "x"}, 2.0], "b": 1}}, {"a.b": 1}, {"a.c.0.d": "x"}, {"a.c.1": 2},
        {"a.z": "literal"}, {"tags": {"$contains": "red"}}, {"tags": {"$contains": 3.0}}, {"tags": ["new", "red", 3]},
        {"city": {"$contains": "ort"}}, {"city": {"$icontains": "PORTO"}}, {"tags": {"$icontains": "NEW"}},
        {"city": {"$in": ["Lisbon", "Porto"]}}, {"rating": {"$in": [4.0]}}, {"a.c": {"$in": [[{"d": "x"}, 2]]}},
        {"city": {"$nin": ["Lisbon"]}}, {"missing": {"$nin": [1]}}, {"missing": {"$ne": 1}}, {"city": {"$ne": 4}},
        {"done": True}, {"none": None}, {"none": {"$exists": True}}, {"missing": {"$exists": False}}, {"empty": []},
        {"city": {"$not": {"$in": ["Lisbon"]}}}, {"$not": {"city": "Lisbon"}}, {"$and": [{"rating": 4}, {"done": True}]},
        {"$or": [{"rating": 5}, {"$and": [{"city": "Porto"}, {"price": {"$lte": 4.5}}]}]}, {"day": {"$gte": "2024-04"}},
        {"rating": 4, "city": "Porto"}, {"größe": "L"}, {'q"t': "1"}, {},
    ],
)  # fmt: skip
def test_what_matches(where):
    assert matcher(where)(DATA)
    assert not where or not matcher({"$not": where})(DATA)


@pytest.mark.parametrize(
    "where",
    [
        {"rating": "4"}, {"rating": True}, {"done": 1}, {"done": {"$gt": 0}}, {"rating": {"$gt": "3"}}, {"city": {"$gt": 3}},
        {"big": 2**63}, {"big": 2**63 + 2}, {"big": float(2**63)}, {"big": {"$lte": 2**63}}, {"missing": None}, {"none": 0},
        {"a": {"b": 1}}, {"a.b.c": 1}, {"a.c.2": 2}, {"a.c.-1": 2}, {"a.c.x": 1}, {"tags": {"$contains": "re"}}, {"tags": "red"},
        {"rating": {"$contains": 4}}, {"done": {"$in": [1, 0]}}, {"rating": {"$in": ["4", True, None]}}, {"missing": {"$lt": 9}},
        {"none": {"$lt": 9}}, {"tags": {"$gt": 1}}, {"a": {"$gte": "a"}}, {"rating": {"$icontains": "4"}}, {"done": "true"},
        {"empty": {"$contains": None}}, {"city": {"$exists": False}}, {"$or": [{"rating": 5}, {"city": "porto"}]},
    ],
)  # fmt: skip
def test_what_does_not_match(where):
    assert not matcher(where)(DATA)
    assert matcher({"$not": where})(DATA)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"a": {"$like": 1}}, r"unknown operator '\$like'. Use \$eq, \$ne, \$gt"),
        ({"$nor": [{"a": 1}]}, r"\$nor is unknown. Between conditions use \$and, \$or, \$not"),
        ({"$gt": 3}, r'belongs to a field: {"FIELD": {"\$gt"'),
        ({"a": {"$gt": 1, "b": 2}}, "unknown operator 'b'"),
        ({"a": {"$gt": None}}, "expected a number or a text"),
        ({"a": {"$lt": True}}, "expected a number or a text"),
        ({"a": {"$in": "red"}}, "expected a list with at least one item"),
        ({"a": {"$nin": []}}, "expected a list with at least one item"),
        ({"$or": []}, "expected a list with at least one item"),
        ({"$or": [{}]}, "an empty condition"),
        ({"$not": {}}, "an empty condition"),
        ({"$and": [5]}, "not an object of conditions"),
        ({"a": {"$exists": 1}}, "expected true or false"),
        ({"a": {"$icontains": 1}}, "expected a text"),
        ({"a": math.inf}, "Compare with strings"),
        ({"a": {"b": datetime(2024, 1, 1)}}, "Compare with strings"),
        ({"a": {"b": {"$gt": 1}}}, "stands inside a value"),
        ({"a": 2**5000}, "more than 4,096 bits"),
        ({"a" * 1_001: 1}, "the limit is 1,000"),
        ({1: "a"}, "a key of where is 1"),
        ({f"k{i}": i for i in range(5_000)}, f"more than {MAX_CONDITIONS} conditions"),
        ({"$and": [{"a": i} for i in range(300)]}, f"more than {MAX_CONDITIONS} conditions"),
        ({"a": {"$in": list(range(MAX_VALUES + 1))}}, "more than 5,000 values"),
    ],
)
def test_what_is_refused_and_how(where, message):
    with pytest.raises(InvalidInput, match=message):
        matcher(where)


@pytest.mark.parametrize("wrap", [lambda w: {"$not": w}, lambda w: {"$and": [w]}, lambda w: {"a": w}, lambda w: {"a": [w]},
                                  lambda w: {"a": {"$not": {"$eq": w}}}])  # fmt: skip
def test_depth_is_bounded(wrap):
    where = {"a": 1}
    for _ in range(MAX_DEPTH + 2):
        where = wrap(where)
    for _ in range(100_000 if wrap({}) == {"$not": {}} else 0):
        where = wrap(where)
    with pytest.raises(InvalidInput, match=r"nested more than|stands inside"):
        matcher(where)


def test_as_many_as_the_bounds_allow_work():
    assert matcher({"a": {"$in": list(range(MAX_VALUES))}})({"a": 4_999})
    assert matcher({f"k{i}": i for i in range(MAX_CONDITIONS)})({f"k{i}": i for i in range(MAX_CONDITIONS)})


# -- a reference, written to be read

LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([2**63, 2**63 + 1, 1.0, 1.5, "", "a", "ab", "ä"])
)
VALUE = st.recursive(
    LEAF, lambda v: st.lists(v, max_size=2) | st.dictionaries(st.sampled_from("xy"), v, max_size=2), max_leaves=4
)
FIELD = st.sampled_from(["x", "y", "x.y", "x.0", "é"])
OPERATORS = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne", "$contains"]), VALUE),
    st.tuples(
        st.sampled_from(["$gt", "$gte", "$lt", "$lte"]),
        st.one_of(st.integers(-3, 3), st.sampled_from(["", "a", 1.5, 2**63])),
    ),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(VALUE, min_size=1, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
    st.tuples(st.just("$icontains"), st.sampled_from(["", "A", "b"])),
)
CONDITION = VALUE | st.lists(OPERATORS, min_size=1, max_size=2).map(dict)
WHERE = st.recursive(
    st.dictionaries(FIELD, CONDITION, min_size=1, max_size=2),
    lambda w: st.builds(lambda op, parts: {op: parts}, st.sampled_from(["$and", "$or"]), st.lists(w, min_size=1, max_size=2))
    | st.builds(lambda part: {"$not": part}, w),
    max_leaves=3,
)  # fmt: skip
METADATA = st.dictionaries(st.sampled_from(["x", "y", "x.y", "é"]), VALUE, max_size=3)


def canonical(value):
    """Equal for equal values of JSON: the order of keys and 1.0 or 1 do not matter, true and 1 do."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{json.dumps(k)}:{canonical(v)}" for k, v in value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def read(data, path):
    """Return the values at a path: none, or one."""
    if path in data:
        return [data[path]]
    value = data
    for key in path.split(".") if "." in path else []:
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return []
    return [value] if "." in path else []


def number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def holds(found, operator, x):
    if operator == "$exists":
        return bool(found) is x
    if operator in ("$ne", "$nin"):
        return not holds(found, {"$ne": "$eq", "$nin": "$in"}[operator], x)
    if not found:
        return False
    [value] = found
    if operator == "$eq":
        return canonical(value) == canonical(x)
    if operator == "$in":
        return canonical(value) in [canonical(one) for one in x]
    if operator == "$contains":
        if isinstance(value, list):
            return canonical(x) in [canonical(one) for one in value]
        return isinstance(value, str) and isinstance(x, str) and x in value
    if operator == "$icontains":
        return any(
            isinstance(v, str) and x.lower() in v.lower() for v in (value if isinstance(value, list) else [value])
        )
    if not (number(value) and number(x)) and not (isinstance(value, str) and isinstance(x, str)):
        return False
    return {"$gt": value > x, "$gte": value >= x, "$lt": value < x, "$lte": value <= x}[operator]


def expected(where, data):
    for key, wanted in where.items():
        if key == "$and":
            ok = all(expected(w, data) for w in wanted)
        elif key == "$or":
            ok = any(expected(w, data) for w in wanted)
        elif key == "$not":
            ok = not expected(wanted, data)
        elif isinstance(wanted, dict) and any(k.startswith("$") for k in wanted):
            ok = all(holds(read(data, key), op, x) for op, x in wanted.items())
        else:
            ok = holds(read(data, key), "$eq", wanted)
        if not ok:
            return False
    return True


@settings(max_examples=500)
@given(WHERE, METADATA)
def test_it_agrees_with_the_reference(where, data):
    assert matcher(where)(data) is expected(where, data)


@settings(max_examples=500)
@given(st.dictionaries(FIELD, CONDITION, min_size=1, max_size=2), METADATA)
def test_a_row_without_the_texts_looked_for_first_does_not_match(where, data):
    if not all(piece in json.dumps(data) for piece in pieces_of(where)):
        assert not matcher(where)(data)


@settings(max_examples=50)
@given(st.lists(METADATA, min_size=1, max_size=6), st.lists(WHERE, min_size=1, max_size=5))
def test_the_store_finds_what_the_function_finds(tmp_path_factory, rows, filters):
    now = datetime(2024, 1, 1, tzinfo=UTC)
    store = open_root(tmp_path_factory.mktemp("where"), "test", lambda: now).open("ana")
    cubes = [MemCube(f"c{i}", "text", "ana", now, now, metadata=data) for i, data in enumerate(rows)]
    store.insert([Entry(cube, ()) for cube in cubes], None)
    for where in filters:
        wanted = [c.id for c in cubes if expected(where, c.metadata)]
        assert [c.id for _, c in store.select(Filter(where=where))] == wanted
        assert store.ids_of(store.keys(Filter(where=where)).tolist()) == wanted
        assert sum(n for _, n in store.inspect.days(Filter(where=where), None, None).counts) == len(wanted)
    store.close()


NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(NUMBER, NUMBER)
def test_numbers_compare_by_value_whatever_their_type(a, b):
    assert [condition({op: b})(a) for op in ("$lt", "$eq", "$gt")] == [a < b, a == b, a > b]


@given(st.text(), st.text())
def test_any_text_is_a_field_and_a_value(key, value):
    data = json.loads(json.dumps({key: value}))
    if not key.startswith("$"):
        assert matcher({key: value})(data)
        assert all(piece in json.dumps(data) for piece in pieces_of({key: value}))
