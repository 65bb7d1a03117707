"""`Program`: a scripted executor with a small window builds files that fit together, where one transcript overflows."""

import re
from datetime import UTC, datetime

import pytest

from mnemos.errors import InvalidInput
from mnemos.text.agent.program import Action, Program
from mnemos.text.recall.context import estimate_tokens

T0 = datetime(2025, 3, 1, 12, tzinfo=UTC)
MODULES = 8
INSTRUCTIONS = [f"Write module m{i}.py." for i in range(MODULES)] + ["Write main.py, which adds up all modules."]
FILLER = "# " + "a long comment on this module and on its history " * 12


class Executor:
    """Writes module i as "value = <i squared>"; main needs the value of each module, which only its file has."""

    def __init__(self):
        self.broken = True

    def __call__(self, prompt):
        wanted = re.search(r"Write (?:module )?(\w+\.py)", prompt)[1]
        if f"Wrote {wanted}." in prompt and "Check failed" not in prompt.rpartition(f"Wrote {wanted}.")[2]:
            return Action("finish")
        if wanted != "main.py":
            number = int(wanted[1])
            code = f"value = {number**2}\n{FILLER}"
            if number == 3 and self.broken:
                self.broken, code = False, "value = = 9"
            return Action("write", wanted, code)
        known = dict(re.findall(r"m(\d) is (\d+)", prompt)) | dict(
            re.findall(r"File m(\d)\.py:\nvalue = (\d+)", prompt)
        )
        missing = [i for i in range(MODULES) if str(i) not in known]
        if missing:
            return Action("read", f"m{missing[0]}.py")
        return Action("write", "main.py", f"total = {sum(map(int, known.values()))}")


def summarise(prompt):
    known = dict(re.findall(r"m(\d) is (\d+)", prompt)) | dict(re.findall(r"File m(\d)\.py:\nvalue = (\d+)", prompt))
    return ", ".join(f"m{i} is {value}" for i, value in known.items())


def check(files):
    for name in files.names():
        try:
            compile(files.read(name), name, "exec")
        except SyntaxError as error:
            return f"{name}: {error.msg}"
    return None


def test_all_files_fit_together_within_a_window_that_a_transcript_overflows(space):
    program = Program(space.text, "build", tokens=600)
    program.load(INSTRUCTIONS)
    assert program.run(Executor(), summarise, check)
    values = {}
    for name in program.files.names():
        scope = {}
        exec(program.files.read(name), scope)
        values |= {name: scope.get("value", scope.get("total"))}
    assert values == {f"m{i}.py": i**2 for i in range(MODULES)} | {"main.py": sum(i**2 for i in range(MODULES))}
    assert program.peak <= 600
    transcript = "\n".join([*INSTRUCTIONS, *(program.files.read(f"m{i}.py") for i in range(MODULES))])
    assert estimate_tokens(transcript) > 2 * 600
    broken = next(c for c in space.cubes(kind="agent-file") if c.metadata["path"] == "m3.py")
    assert [v.metadata["text"][:9] for v in space.history(broken.id)] == ["value = =", "value = 9"]


def test_a_run_goes_on_where_it_was(space):
    program = Program(space.text, "build", tokens=600)
    program.load(INSTRUCTIONS)

    def killed(prompt):
        if "m5.py" in prompt:
            raise KeyboardInterrupt
        return Executor()(prompt) if "m3.py" not in prompt.splitlines()[0] else Action("finish")

    with pytest.raises(KeyboardInterrupt):
        program.run(killed, summarise, check)
    again = Program(space.text, "build", tokens=600)
    assert again.task.ready() == ["instruction 006"]
    again.files.write("m3.py", "value = 9")
    assert again.run(Executor(), summarise, check)


def test_what_cannot_fit_and_what_is_no_action_are_refused(space):
    program = Program(space.text, "small", tokens=5)
    program.load(["Write a very long file about everything."])
    with pytest.raises(InvalidInput, match="split it"):
        program.run(Executor(), summarise, check)
    other = Program(space.text, "other", tokens=500)
    other.load(["Do it."])
    with pytest.raises(InvalidInput, match="use read, write or finish"):
        other.run(lambda prompt: Action("think"), summarise, check)
    assert not other.run(lambda prompt: Action("read", "x"), summarise, check, most=3)
