import inspect

import pytest

from mnemos import Mnemos, Space
from mnemos.errors import InvalidInput, NotFound
from mnemos.inspect.inspector import Inspector
from mnemos.store.values import Filter
from mnemos.text.recall.filters import Filters, make_filter

NAMES = set(Filters.__annotations__)
VERBS = (Space.search, Space.search_sessions, Space.context, Space.cubes, Space.forget, Space.forget_preview,
         Mnemos.search, Inspector.timeline, Inspector.newest, Space.activate)  # fmt: skip


@pytest.fixture
def space(tmp_path):
    with Mnemos(tmp_path, embedder="none") as memory:
        yield memory.space("ana")


@pytest.mark.parametrize("verb", VERBS, ids=lambda v: v.__qualname__)
def test_every_verb_takes_the_filters(verb):
    [more] = [p for p in inspect.signature(verb).parameters.values() if p.kind is p.VAR_KEYWORD]
    assert (more.name, more.annotation) == ("filters", "Unpack[Filters]")


@pytest.mark.parametrize(
    "model", ["models.Search", "models.Context", "models.Forget", "models.Listing", "page_models.Timeline"]
)
def test_requests_have_the_filters_that_the_verbs_take(model):
    pytest.importorskip("fastapi")
    module, name = model.split(".")
    shape = getattr(__import__(f"mnemos.serve.{module}", fromlist=[name]), name)
    assert set(shape.model_fields) >= NAMES
    assert NAMES.isdisjoint(shape.__base__.model_fields), "declared in one place only"


def test_a_filter_of_everything_is_what_the_store_takes():
    found = make_filter("UTC", 
        session="s", speaker="Ana", role=None, where={"a": [1, None]}, since="1970-01-01T00:00:01", until=2.5,
        state="any", include_superseded=True, include_derived=False,
    )  # fmt: skip
    assert found == Filter(
        session="s",
        speaker="Ana",
        where={"a": [1, None]},
        since=1_000_000,
        until=2_500_000,
        state=None,
        superseded=True,
    )
    assert (
        make_filter(
            "UTC",
        )
        == Filter()
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("speeker", "Ana", "unknown filter 'speeker': did you mean speaker"),
        ("colour", "red", "unknown filter 'colour': use session, speaker"),
        ("speaker", 3, "speaker is 3, expected a string: pass '3'"),
        ("session", ["s"], r"session is \['s'\], expected a string"),
        ("where", ["topic"], "expected a dict of metadata"),
        ("where", {"a": float("nan")}, "Compare with strings"),
        ("where", {1: "a"}, "a key of where is 1"),
        ("since", object(), "since: object is not a time"),
        ("until", True, "until: True is not a time"),
        ("as_of", "soon", "as_of: 'soon' is not a time"),
        ("state", "gone", "state is 'gone', expected one of active, superseded, archived, any"),
        ("include_derived", "yes", "include_derived is 'yes', expected True or False"),
    ],
)
def test_a_wrong_filter_is_refused_in_words(space, name, value, message):
    for verb in (lambda f: space.search("x", **f), lambda f: space.cubes(**f), lambda f: space.forget_preview(**f)):
        with pytest.raises(InvalidInput, match=message):
            verb({name: value})


@pytest.mark.parametrize(
    "filters", [{}, {"where": {}}, {"include_derived": False}, {"include_superseded": True}, {"as_of": 1}]
)
def test_what_narrows_nothing_down_chooses_nothing_to_forget(space, filters):
    space.add("kept")
    with pytest.raises(InvalidInput, match="nothing in particular"):
        space.forget(**filters)
    assert space.count() == 1


def test_archived_cubes_are_listed_and_not_searched(space):
    cube = space.add("put away")
    space.archive([cube.id])
    assert [c.id for c in space.cubes(state="archived")] == [cube.id]
    with pytest.raises(InvalidInput, match="unarchive"):
        space.search("away", state="archived")
    with pytest.raises(NotFound):
        space.forget(state="superseded")
