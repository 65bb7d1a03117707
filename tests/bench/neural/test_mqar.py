"""`mnemos bench mqar`: every member holds the state that it is given, and a tiny run has its tables and figures."""

import pytest

pytest.importorskip("torch")

from mnemos.bench.neural import mqar
from mnemos.bench.neural.mqar_layers import MEMBERS, STATES, WIDTH
from mnemos.bench.progress import SILENT
from mnemos.neural.model import mixer
from mnemos.registry import get


@pytest.mark.parametrize("name", MEMBERS)
def test_a_member_holds_the_state_that_it_is_given(name):
    for state in STATES:
        assert mixer(MEMBERS[name](state), WIDTH).state_size(64) == pytest.approx(state, rel=0.07)


def test_every_part_is_a_member():
    assert set(mqar.Options().parts) <= set(MEMBERS)


def test_a_tiny_run(tmp_path):
    options = mqar.Options(
        parts=("delta-net",),
        states=(256, 1024),
        rates=(0.01,),
        steps=2,
        length=24,
        pairs=2,
        changed=1,
        seeds=2,
        cache=tmp_path,
    )
    result = mqar.run(options, SILENT)
    again = mqar.run(options, SILENT)  # from the cells
    assert again == result
    assert len(list(tmp_path.iterdir())) == 7
    head, row = mqar.grid(result)
    assert head[:3] == ["layer", "256", "1,024"]
    assert row[0] == "delta-net"
    assert len(mqar.changing(result)[1]) == 3
    assert "recalls" in mqar.figure(result, get("delta-net", form="neural")).text
    assert mqar.figure(result, get("mamba-2", form="neural")) is None
