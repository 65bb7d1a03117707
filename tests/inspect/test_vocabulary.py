"""The vocabulary names all laws, kinds of links and signals that this version uses."""

from mnemos import Policy
from mnemos.inspect.vocabulary import SIGNALS, vocabulary
from mnemos.text.forget.laws import law_names
from mnemos.text.recall import signals


def test_every_law_can_be_set_in_a_policy():
    laws = vocabulary().laws
    assert set(laws) == set(law_names())
    assert all(Policy(law=law).law == law for law in laws)


def test_every_signal_of_a_hit_has_words():
    assert SIGNALS.keys() == {*signals.SIGNALS, "links"}


def test_links_of_a_space_are_of_these_kinds(tmp_path):
    from mnemos import Mnemos

    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        space.add_many(
            {"content": c, "speaker": "Ana", "session": "s"} for c in ("I live in Porto.", "I moved to Faro.")
        )
        space.consolidate()
        kinds = {link.kind for cube in space.cubes(state="any") for link in space.links(cube.id)}
        assert {"supersedes", "follows"} <= kinds <= set(vocabulary().links)
