"""Pieces of text from tokens: nothing is lost, half characters and stop strings are held back."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mnemos.serve.local_text import TextStream


def decode(tokens):
    return bytes(tokens).decode("utf-8", "replace")


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=16), stops=st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_the_pieces_are_the_text_up_to_the_first_stop(text, stops):
    stream = TextStream(decode, stops)
    pieces = []
    for token in text.encode():
        pieces.append(stream.add(token))
        if stream.stopped:
            break
    pieces.append(stream.end())
    ends = [text.index(stop) for stop in stops if stop in text]
    if "�" in text:
        return
    first = min(ends, default=len(text))
    found = "".join(pieces)
    assert stream.stopped == bool(ends)
    # a stop that begins earlier may end later: what was found first in the stream counts
    assert text.startswith(found)
    assert len(found) >= first
    assert not any(stop in found for stop in stops)


def test_a_beginning_of_a_stop_is_held_back_until_it_is_none():
    stream = TextStream(decode, ["END"])
    assert [stream.add(t) for t in b"xENx"] == ["x", "", "", "ENx"]
    assert [stream.add(t) for t in b"EN"] == ["", ""]
    assert stream.end() == "EN"


def test_a_character_of_several_tokens_appears_whole():
    stream = TextStream(decode)
    assert [stream.add(t) for t in "é€".encode()] == ["", "é", "", "", "€"]
