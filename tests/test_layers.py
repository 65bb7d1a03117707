"""The rules of the house, checked on the source: floors, forms, circles, stores, sizes, and what an import brings."""

import ast
import re
import subprocess
import sys
from functools import cache

import floors
import pytest

MOST_LINES, MOST_OF_FUNCTION = 400, 60
MODULES = ("os", "signal", "torch.optim")  # what a platform or a version has
HEAVY = {"torch", "transformers", "onnxruntime", "dateparser", "typer", "rich", "tokenizers", "fastapi", "httpx"}
EXECUTES = {"execute", "executemany", "executescript"}
SQL = re.compile(
    r"\s*(SELECT\b.*\bFROM\b|INSERT\s+(OR\s+\w+\s+)?INTO\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b|PRAGMA\b"
    r"|(CREATE|DROP|ALTER)\s+(\w+\s+)?(TABLE|INDEX|TRIGGER)\b)",
    re.DOTALL,
)

# What breaks a rule for a reason: rule -> what -> why. An entry that breaks nothing any longer fails the tests too.
ALLOWED: dict[str, dict[str, str]] = {
    "duck_typing": {
        "mnemos.embed": "names in its error what a user's embedder lacks",
        "mnemos.reason.llm": "names in its error what a user's reasoner lacks",
    },
}


def upward():
    return [(str(a), f"line {a.line}") for a in floors.upward()]


def between_forms():
    return [(str(a), f"line {a.line}") for a in floors.between_forms()]


def rooms_to_verbs():
    return [(str(a), f"line {a.line}") for a in floors.rooms_to_verbs()]


def circles():
    return [(" <-> ".join(names), "import each other") for names in floors.circles()]


def stores_outside_store():
    """SQL, a connection, a database's driver or a class of one kind of store, named outside store/."""
    found = []
    for module in floors.modules():
        if floors.part(module) == "store":
            continue
        for node in ast.walk(floors.tree(module)):
            if reason := _of_a_store(node):
                found.append((module, f"line {node.lineno}: {reason}"))
    return found


def _of_a_store(node):
    kinds = tuple(f"mnemos.store.{name}" for name in floors.STORES)
    match node:
        case ast.Import(names):
            named = [alias.name for alias in names]
        case ast.ImportFrom(module, names):
            named = [f"{module}.{alias.name}" for alias in names]
        case ast.Call(ast.Attribute(attr=name)) if name in EXECUTES:
            return f".{name}("
        case ast.Attribute(ast.Attribute(attr="store" | "_store") | ast.Name("store"), "connection"):
            return ast.unparse(node)
        case ast.Constant(str(text)) if SQL.match(text):
            return " ".join(text.split())[:60]
        case _:
            return None
    of = [n for n in named if n.startswith((*kinds, "sqlite3", "sqlite_utils", "psycopg"))]
    return f"imports {of[0]}" if of else None


def long_files():
    counts = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in floors.modules().items()}
    return [(module, f"{n} lines") for module, n in counts.items() if n > MOST_LINES]


def long_functions():
    return [
        (f"{module}.{node.name}", f"{length} lines")
        for module in floors.modules()
        for node in ast.walk(floors.tree(module))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := node.end_lineno - node.lineno + 1) > MOST_OF_FUNCTION
    ]


def duck_typing():
    """`hasattr` of anything but a module: what an object may offer beyond its contract is a protocol too."""
    return [
        (module, f"line {node.lineno}: {ast.unparse(node)}")
        for module in floors.modules()
        for node in ast.walk(floors.tree(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "hasattr"
        and ast.unparse(node.args[0]) not in MODULES
    ]


RULES = {
    rule.__name__: rule
    for rule in (
        upward, between_forms, rooms_to_verbs, circles, stores_outside_store, long_files, long_functions, duck_typing,
    )
}  # fmt: skip


@cache
def broken_by(rule):
    """What breaks a rule, and where."""
    return RULES[rule]()


@pytest.mark.parametrize("name", RULES)
def test_the_source_keeps_the_rule(name):
    broken = [f"{what} ({where})" for what, where in broken_by(name) if what not in ALLOWED.get(name, {})]
    assert not broken, "\n".join([f"{name}: see the floors in tools/floors.py and docs/architecture.md", *broken])


@pytest.mark.parametrize("name", RULES)
def test_no_exception_outlives_its_need(name):
    assert ALLOWED.get(name, {}).keys() <= {what for what, _ in broken_by(name)}, "take these out of ALLOWED"


def test_every_package_is_on_one_floor():
    for module in floors.modules():
        floors.floor(module)
    parts = [part for level in floors.FLOORS for part in level.parts]
    assert len(parts) == len(set(parts))


def test_architecture_shows_the_floors_and_arrows_of_the_code():
    text = floors.PAGE.read_text(encoding="utf-8")
    assert floors.page(text) == text, "run python tools/floors.py --write"


@pytest.mark.parametrize("page", ["architecture.md", "glossary.md", "../CONTRIBUTING.md"])
def test_the_files_that_a_page_names_exist(page):
    text = (floors.PAGE.parent / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z]+/)+[a-z_]+\.py|[a-z]+/(?:[a-z_]+/)*)`", text))
    named |= set(re.findall(r"`((?:store|tests|docs|benchmarks|tools|mnemos)/[a-z]+)`", text))
    assert [n for n in sorted(named) if not any((at / n).exists() for at in (floors.HOME, floors.ROOT))] == []


def test_a_circle_is_found():
    def arrows(*pairs):
        return [floors.Arrow(*pair.split(), 1) for pair in pairs]

    assert floors.circles(arrows("a b", "b c", "c a", "c d", "d e")) == [["a", "b", "c"]]
    assert floors.circles(arrows("a b", "b c", "a c")) == []
    assert floors.circles(arrows("a b", "b a", "c d", "d c", "a c")) == [["c", "d"], ["a", "b"]]


def test_importing_mnemos_brings_nothing_heavy():
    code = f"import sys, mnemos; print(*sorted({HEAVY!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
