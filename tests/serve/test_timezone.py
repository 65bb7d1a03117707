"""Time zones over REST, the client, the command line and MCP are those of Python."""

import json
from datetime import UTC, datetime

import pytest

pytest.importorskip("fastapi")

from typer.testing import CliRunner

from mnemos import Mnemos
from mnemos.cli import app
from mnemos.errors import InvalidInput
from mnemos.serve.client import Client

T0 = datetime(2024, 3, 1, 20, tzinfo=UTC)


def run(root, *args):
    result = CliRunner().invoke(app, [*args, "--root", str(root), "--embedder", "none", "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_the_command_line_tells_times_in_a_zone(tmp_path):
    made = run(tmp_path, "add", "Today I flew", "--at", "2024-03-02T23:30", "--timezone", "Asia/Tokyo")
    assert (made["at"], made["timezone"]) == ("2024-03-02T23:30:00+09:00", "Asia/Tokyo")
    found = CliRunner().invoke(app, ["timezone", "Europe/Lisbon", "--root", str(tmp_path), "--json"])
    assert json.loads(found.stdout) == {"space": "default", "timezone": "Europe/Lisbon"}
    told = run(tmp_path, "add", "Today I slept", "--at", "2024-07-02T23:30")
    assert told["at"] == "2024-07-02T23:30:00+01:00"
    days = {
        zone: [hit["cube"]["text"] for hit in run(tmp_path, "search", "I", "--since", "2024-07-03", "--timezone", zone)]
        for zone in ("Europe/Lisbon", "America/Lima", "Asia/Tokyo")
    }
    assert days == {"Europe/Lisbon": [], "America/Lima": [], "Asia/Tokyo": ["Today I slept"]}
    bad = CliRunner().invoke(app, ["timezone", "Lisbon", "--root", str(tmp_path)])
    assert bad.exit_code != 0
    assert "no time zone" in bad.output


def test_mcp_takes_the_zone_of_the_user_and_keeps_the_latest(tmp_path):
    pytest.importorskip("mcp")
    from mnemos.serve.mcp import Tools

    with Mnemos(tmp_path, embedder="none", clock=lambda: T0) as memory:
        tools = Tools(memory, "ana", False, False)
        tools.remember("I saw a fox today", timezone="Asia/Tokyo")
        space = memory.space("ana")
        [cube] = space.cubes()
        assert cube.at.isoformat() == "2024-03-02T05:00:00+09:00"
        assert "[2024-03-02]" in tools.context("fox", timezone="Asia/Tokyo")
        assert tools.recall("fox", since="2024-03-02", timezone="Asia/Tokyo")["hits"]
        assert not tools.recall("fox", until="2024-03-02", timezone="Asia/Tokyo")["hits"]
        space.add_many([{"content": f"note {i}", "at": T0} for i in range(9)])
        shown = [c["text"] for c in tools.timeline(limit=3)["cubes"]]
        assert shown == ["note 6", "note 7", "note 8"]


def test_a_served_space_has_its_zone_and_a_naive_time_is_told_in_it(served):
    with Client(served.url, served.key()) as remote:
        space = remote.space("kolkata")
        space.timezone = "Asia/Kolkata"
        assert space.timezone == "Asia/Kolkata"
        cube = space.add("Today I flew", at=datetime(2024, 3, 2, 0, 10))
        assert cube.at.isoformat() == "2024-03-02T00:10:00+05:30"
        assert cube.timezone == "Asia/Kolkata"
        assert space.add("Today I slept", at="2024-03-02T00:10", timezone="Asia/Tokyo").timezone == "Asia/Tokyo"
        assert [c.text for c in space.cubes(since="2024-03-02", until="2024-03-03", timezone="Asia/Kolkata")][:1] == [
            "Today I flew"
        ]
        assert "00:10+05:30" in space.context("Who flew?")
        assert space.search("flew", since="2024-03-02", timezone="Asia/Kolkata")
        assert space.facts(timezone="Asia/Kolkata") is not None
        for wrong in (lambda: space.search("x", timezone="Kolkata"), lambda: setattr(space, "timezone", "Kolkata")):
            with pytest.raises(InvalidInput, match="no time zone"):
                wrong()
