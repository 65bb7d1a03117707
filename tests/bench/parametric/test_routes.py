"""Facts by two routes: the stream, and what is right."""

from mnemos.bench.parametric.learning import routes


def test_every_name_has_every_thing_once_and_says_its_value():
    stream = routes.facts(3)
    assert len({fact.said.split(" is ")[0] for fact in stream}) == len(stream) == len(routes.NAMES) * len(routes.THINGS)
    assert all(fact.said.endswith(f" is {routes.VALUES[fact.value]}.") for fact in stream)
    assert not any(routes.VALUES[fact.value] in fact.taught + fact.asked for fact in stream[:100])
    assert stream != routes.facts(4)
