"""LangGraph's checkpointer in a space: its own conformance suite, compared with its in-memory saver, and after a crash."""

import asyncio
import operator
import subprocess
import sys
import textwrap
from typing import Annotated, TypedDict

import pytest

pytest.importorskip("langgraph")

from langgraph.checkpoint.base import empty_checkpoint  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.graph import END, START, StateGraph  # noqa: E402
from langgraph.types import Command, interrupt  # noqa: E402

from mnemos import Mnemos  # noqa: E402
from mnemos.adapters.langgraph_checkpoints import MnemosSaver  # noqa: E402
from mnemos.errors import InvalidInput  # noqa: E402


@pytest.fixture
def memory(tmp_path):
    with Mnemos(tmp_path, embedder="hashing") as m:
        yield m


@pytest.fixture
def saver(memory):
    return MnemosSaver(memory.space("graph"))


class State(TypedDict):
    log: Annotated[list[str], operator.add]
    n: int


def counting(saver, steps=3):
    builder = StateGraph(State)
    builder.add_node("count", lambda state: {"log": [f"saw {state['n']}"], "n": state["n"] + 1})
    builder.add_edge(START, "count")
    builder.add_conditional_edges("count", lambda state: "count" if state["n"] < steps else END)
    return builder.compile(checkpointer=saver)


def thread(name, **more):
    return {"configurable": {"thread_id": name, "checkpoint_ns": "", **more}}


def put(saver, config, step, /, run=None, **values):
    """Put a checkpoint after that of a config; return its config."""
    checkpoint = empty_checkpoint() | {"channel_values": values}
    checkpoint["channel_versions"] = {name: saver.get_next_version(None, None) for name in values}
    about = {"source": "loop", "step": step, "parents": {}} | ({"run_id": run} if run else {})
    return saver.put(config, checkpoint, about, checkpoint["channel_versions"])


def test_it_passes_the_suite_of_langgraph(memory):
    conformance = pytest.importorskip("langgraph.checkpoint.conformance")
    spaces = iter(range(100))

    @conformance.checkpointer_test(name="MnemosSaver")
    async def made():
        yield MnemosSaver(memory.space(f"suite-{next(spaces)}"))

    report = asyncio.run(conformance.validate(made))
    assert report.passed_all(), report.to_dict()


def test_a_graph_runs_as_with_the_saver_in_memory(saver):
    found = []
    for each in (saver, InMemorySaver()):
        graph = counting(each)
        graph.invoke({"log": [], "n": 0}, thread("a"))
        graph.invoke({"log": ["again"], "n": 1}, thread("a"))
        past = list(graph.get_state_history(thread("a")))
        found.append([(s.values, s.next, s.metadata["step"], s.metadata["source"]) for s in past])
        forked = graph.update_state(past[3].config, {"n": 10})
        found[-1].append(graph.invoke(None, forked))
        found[-1].append(len(list(graph.get_state_history(thread("a")))))
        assert list(graph.get_state_history(thread("b"))) == []
    assert found[0] == found[1]


def test_threads_are_apart_and_another_process_sees_them(tmp_path):
    with Mnemos(tmp_path, embedder="hashing") as one, Mnemos(tmp_path, embedder="hashing") as two:
        counting(MnemosSaver(one.space("graph"))).invoke({"log": [], "n": 0}, thread("a"))
        graph = counting(MnemosSaver(two.space("graph")))
        assert graph.get_state(thread("a")).values == {"log": ["saw 0", "saw 1", "saw 2"], "n": 3}
        assert graph.get_state(thread("b")).values == {}


def test_an_interrupted_graph_goes_on(saver):
    builder = StateGraph(State)
    builder.add_node("ask", lambda state: {"log": [interrupt("how many?")]})
    builder.add_edge(START, "ask")
    graph = builder.compile(checkpointer=saver)
    [asked] = graph.invoke({"log": [], "n": 0}, thread("a"))["__interrupt__"]
    assert asked.value == "how many?"
    assert graph.invoke(Command(resume="three"), thread("a"))["log"] == ["three"]


def test_it_runs_without_blocking(saver):
    async def run():
        graph = counting(saver)
        await graph.ainvoke({"log": [], "n": 0}, thread("a"))
        return [s.values["n"] async for s in graph.aget_state_history(thread("a")) if "n" in s.values]

    assert asyncio.run(run()) == [3, 2, 1, 0]


def test_what_ran_before_a_crash_does_not_run_again(tmp_path):
    """The process is killed inside the second of two parallel tasks: the first one's write is on disk, and is not repeated."""
    code = textwrap.dedent("""
        import operator, os, sys, time
        from pathlib import Path
        from typing import Annotated, TypedDict
        from langgraph.graph import START, StateGraph
        from mnemos import Mnemos
        from mnemos.adapters.langgraph_checkpoints import MnemosSaver

        root, log = sys.argv[1], Path(sys.argv[2])

        class State(TypedDict):
            log: Annotated[list[str], operator.add]

        def node(name):
            def run(state):
                ran = log.read_text() if log.exists() else ""
                with log.open("a") as file:
                    file.write(name + " ")
                if name == "late" and "late" not in ran:
                    while not saver.wrote:
                        time.sleep(0.01)
                    os._exit(9)
                return {"log": [name]}
            return run

        class Saver(MnemosSaver):
            wrote = False
            def put_writes(self, config, writes, task_id, task_path=""):
                super().put_writes(config, writes, task_id, task_path)
                self.wrote |= any(value == ["early"] for _, value in writes)

        with Mnemos(root, embedder="hashing") as memory:
            saver = Saver(memory.space("graph"))
            builder = StateGraph(State)
            for name in ("first", "early", "late"):
                builder.add_node(name, node(name))
            builder.add_edge(START, "first")
            builder.add_edge("first", "early")
            builder.add_edge("first", "late")
            graph = builder.compile(checkpointer=saver)
            config = {"configurable": {"thread_id": "t"}}
            told = None if log.exists() else {"log": ["go"]}
            print(sorted(graph.invoke(told, config, durability="sync")["log"]))
    """)
    arguments = [sys.executable, "-c", code, str(tmp_path / "root"), str(tmp_path / "ran")]
    assert subprocess.run(arguments, capture_output=True, check=False).returncode == 9
    again = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert again.stdout.strip() == "['early', 'first', 'go', 'late']", again.stderr
    assert sorted((tmp_path / "ran").read_text().split()) == ["early", "first", "late", "late"]


def test_a_value_is_stored_once_and_large_ones_in_parts(saver, monkeypatch):
    monkeypatch.setattr("mnemos.adapters.langgraph_rows.PART", 1_000)
    text = "".join(map(chr, range(32, 1_200))) * 3
    config = put(saver, thread("a"), 0, big=text, small=b"\x00\xff")
    head = saver.get_tuple(config).checkpoint
    again = empty_checkpoint() | {name: head[name] for name in ("channel_values", "channel_versions")}
    last = saver.put(config, again, {"source": "loop", "step": 1}, {})
    rows = list(saver.space.cubes(kind="checkpoint-value"))
    assert saver.get_tuple(last).checkpoint["channel_values"] == {"big": text, "small": b"\x00\xff"}
    assert {cube.metadata["parts"] for cube in rows} == {9, 1}
    assert len(rows) == 10


def test_a_state_is_exact_whatever_it_contains_and_no_search_finds_it(saver):
    key = "AKIA" + "Q3EGWHZ7NPLM4SXD"
    config = put(saver, thread("a"), 0, note=f"The key is {key}, the card 4111 1111 1111 1111.")
    assert key in saver.get_tuple(config).checkpoint["channel_values"]["note"]
    assert not any("redacted" in cube.metadata for cube in saver.space.cubes(include_derived=True))
    assert saver.space.search("key checkpoint langgraph") == []


def test_a_checkpoint_written_again_replaces_the_first(saver):
    config = put(saver, thread("a"), 0, n=1)
    checkpoint = saver.get_tuple(config).checkpoint
    saver.put(thread("a"), checkpoint, {"source": "update", "step": 5}, {})
    assert saver.get_tuple(config).metadata["step"] == 5
    assert len(list(saver.list(thread("a")))) == 1


def test_plain_writes_stay_and_interrupts_are_replaced(saver):
    config = put(saver, thread("a"), 0)
    for n in (1, 2):
        saver.put_writes(config, [("log", n)], "task", "2")
        saver.put_writes(config, [("__interrupt__", n)], "task", "2")
        saver.put_writes(config, [("log", n)], "other", "1")
    found = saver.get_tuple(config).pending_writes
    assert found == [("other", "log", 1), ("task", "__interrupt__", 2), ("task", "log", 1)]


def test_a_deleted_thread_is_gone_from_the_files(saver, tmp_path):
    config = put(saver, thread("a"), 0, note="x")
    put(saver, thread("b"), 0, note="y")
    saver.put_writes(config, [("log", 1)], "task")
    saver.put_writes(thread("a", checkpoint_id="not put yet"), [("log", 1)], "task")
    saver.delete_thread("a")
    saver.delete_thread("a")
    assert saver.get_tuple(thread("a")) is None
    assert {cube.session for cube in saver.space.cubes(include_derived=True)} == {"b"}


def test_pruning_keeps_what_the_last_checkpoint_needs(saver):
    config = thread("a")
    for n in range(4):
        config = put(saver, config, n, run=f"r{n}", n=n)
    saver.put_writes(config, [("log", 1)], "task")
    saver.delete_for_runs(["r0"])
    assert [t.metadata["step"] for t in saver.list(thread("a"))] == [3, 2, 1]
    saver.prune(["a"])
    [left] = saver.list(None)
    assert (left.checkpoint["channel_values"], left.pending_writes) == ({"n": 3}, [("task", "log", 1)])
    assert len(list(saver.space.cubes(kind="checkpoint-value"))) == 1
    with pytest.raises(InvalidInput, match="keep_latest"):
        saver.prune(["a"], strategy="all")


def test_pruning_keeps_the_past_of_delta_channels(saver):
    config = thread("a")
    counters = {"log": (1, 1)}
    for n in range(4):
        checkpoint = empty_checkpoint() | {"channel_versions": {"log": saver.get_next_version(None, None)}}
        if n == 1:  # its snapshot
            checkpoint["channel_values"] = {"log": ["a"]}
        about = {"source": "loop", "step": n, "counters_since_delta_snapshot": counters}
        config = saver.put(config, checkpoint, about, checkpoint["channel_versions"])
        saver.put_writes(config, [("log", [n])], "task")
    before = saver.get_delta_channel_history(config=config, channels=["log"])["log"]
    saver.prune(["a"])
    assert [t.metadata["step"] for t in saver.list(thread("a"))] == [3, 2, 1]
    assert saver.get_delta_channel_history(config=config, channels=["log"])["log"] == before
    assert before["seed"] == ["a"]


def test_a_copy_goes_on_by_itself(saver):
    graph = counting(saver)
    graph.invoke({"log": [], "n": 0}, thread("a"))
    saver.copy_thread("a", "b")
    states = [[(s.values, s.next, s.metadata["step"]) for s in graph.get_state_history(thread(x))] for x in "ab"]
    assert states[0] == states[1]
    graph.invoke({"log": ["b"], "n": 2}, thread("b"))
    assert len(graph.get_state(thread("a")).values["log"]) == 3


def test_an_archive_brings_threads_to_another_root(saver, tmp_path):
    counting(saver).invoke({"log": [], "n": 0}, thread("a"))
    with Mnemos(tmp_path / "other", embedder="hashing") as other:
        space = other.space("graph")
        space.restore(saver.space.dump())
        assert counting(MnemosSaver(space)).get_state(thread("a")).values["n"] == 3
