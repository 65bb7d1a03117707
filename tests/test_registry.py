"""The registry: names are read from the source, an entry knows its address and its kind, and mistakes are answered."""

import subprocess
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

import pytest

from mnemos import registry
from mnemos.errors import InvalidInput, NotFound
from mnemos.registry import Paper, all_entries, get, names, register, satisfies


class Curve(Protocol):
    """A contract for these tests."""

    steep: float

    def value(self, at: float) -> float: ...


@pytest.fixture(autouse=True)
def house(tmp_path, monkeypatch):
    """A registry of its own: `house(module, source)` writes a module of mnemos where the registry looks."""
    monkeypatch.setattr(registry, "_HOME", tmp_path)
    monkeypatch.setattr(registry, "_ENTRIES", {})
    registry._names.cache_clear()
    base = ModuleType("mnemos.text.base")
    base.KINDS = {"curve": Curve}
    monkeypatch.setattr(Curve, "__module__", "mnemos.text.base")
    monkeypatch.setitem(sys.modules, "mnemos.text.base", base)

    def write(module, *methods, imported=True):
        path = tmp_path.joinpath(*module.split(".")[1:]).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        source = "from mnemos.registry import register\n" + "\n".join(methods)
        path.write_text(source)
        (tmp_path / "text").mkdir(exist_ok=True)
        (tmp_path / "text" / "base.py").touch()
        registry._names.cache_clear()
        if imported:  # as `import` would find it, were it in the package
            made = ModuleType(module)
            monkeypatch.setitem(sys.modules, module, made)
            exec(compile(source, str(path), "exec"), vars(made))

    yield write
    registry._names.cache_clear()


METHOD = '@register("{0}")\ndef {0}(x):\n    """Return x as {0} has it."""\n    return x\n'
CURVE = '@register("{0}")\nclass {0}:\n    """Fall."""\n    steep = 1.0\n    def value(self, at):\n        return at\n'


def named(module, **members):
    """A function as if it were written in a module."""

    def method(share):
        """Do what the paper says."""

    method.__module__ = module
    for name, value in members.items():
        setattr(method, name, value)
    return method


def test_an_entry_has_its_address_form_operation_and_summary(house):
    house("mnemos.text.forget.slowly", METHOD.format("slowly"))
    entry = get("slowly")
    assert (entry.form, entry.operation, entry.kind) == ("text", "forget", "component")
    assert entry.address == "mnemos.text.forget.slowly.slowly"
    assert entry.summary == "Return x as slowly has it."
    assert entry.papers == ()


def test_a_module_directly_in_a_form_has_no_operation(house):
    house("mnemos.index.splitter", METHOD.format("splitter"))
    assert get("splitter").operation == ""


def test_what_was_registered_is_kept_with_the_method():
    paper = Paper("On Forgetting", "2401.00001", code="somebody/forgetting")
    method = register(
        "x", papers=(paper,), task="records", baselines=("random",), phase="decode", unmeasured="needs a GPU"
    )
    assert method(target := named("mnemos.activation.forget.x")) is target
    entry = registry._ENTRIES["activation", "forget", "x"]
    assert (entry.papers, entry.task, entry.baselines) == ((paper,), "records", ("random",))
    assert (entry.phase, entry.unmeasured) == ("decode", "needs a GPU")


def test_a_method_without_a_docstring_is_refused():
    with pytest.raises(ValueError, match="'x' has no docstring: say in one line what it does"):
        register("x")(named("mnemos.text.forget.x", __doc__="  "))


def test_the_signature_that_a_data_class_writes_is_no_docstring():
    @dataclass
    class Bare:
        share: float

    Bare.__module__ = "mnemos.text.forget.bare"
    assert Bare.__doc__ == "Bare(share: float)"
    with pytest.raises(ValueError, match="no docstring"):
        register("bare")(Bare)


def test_a_taken_name_is_refused_within_an_operation_only(house):
    register("x")(named("mnemos.text.forget.x"))
    register("x")(named("mnemos.text.forget.x"))  # the same module, imported again
    register("x")(named("mnemos.activation.forget.x"))
    register("x")(named("mnemos.text.systems.x"))
    with pytest.raises(ValueError, match=r"'x' is taken by mnemos\.text\.forget\.x\..*: choose another name"):
        register("x")(named("mnemos.text.forget.y"))


def test_two_modules_of_one_name_are_found_even_if_nobody_imports_both(house):
    house("mnemos.text.forget.a", METHOD.format("twice"), imported=False)
    house("mnemos.text.forget.b", METHOD.format("twice"), imported=False)
    with pytest.raises(ValueError, match=r"'twice' of mnemos\.text\.forget\.b is taken by mnemos\.text\.forget\.a"):
        names()


@pytest.mark.parametrize("module", ["mnemos.serve.x", "mnemos.text", "elsewhere.text.forget.x", "__main__"])
def test_a_module_outside_the_forms_is_refused(module):
    with pytest.raises(ValueError, match=f"'x' is in {module}: move it to mnemos.FORM.OPERATION.MODULE"):
        register("x")(named(module))


def test_an_unknown_name_answers_with_the_nearest_ones(house):
    house("mnemos.text.forget.m", METHOD.format("snapkv"), METHOD.format("ebbinghaus"))
    with pytest.raises(NotFound, match="there is no method 'snapvk': did you mean snapkv\\?"):
        get("snapvk")
    with pytest.raises(NotFound, match="did you mean snapkv\\?"):
        get("SnapKV")
    with pytest.raises(NotFound, match="there is no method 'qqq': `mnemos methods` lists all"):
        get("qqq")


def test_an_unknown_form_is_named():
    for call in (lambda: get("x", form="txt"), lambda: all_entries("txt"), lambda: names("txt")):
        with pytest.raises(NotFound, match="there is no form 'txt': choose from index, text, activation"):
            call()


def test_a_name_of_two_forms_wants_a_form(house):
    house("mnemos.text.forget.random", METHOD.format("random"))
    house("mnemos.index.chance", METHOD.format("random"))
    with pytest.raises(
        InvalidInput, match="'random' is the name of 2 methods: choose one with form='index' or form='text'"
    ):
        get("random")
    assert get("random", form="text").address == "mnemos.text.forget.random.random"


def test_the_kind_is_the_contract_that_fits_and_chooses_among_forms(house):
    house("mnemos.text.forget.random", CURVE.format("random"))
    house("mnemos.index.chance", METHOD.format("random"))
    assert get("random", kind=Curve).kind == "curve"
    assert get("random", kind="curve").form == "text"
    assert [e.form for e in all_entries(kind="curve")] == ["text"]


def test_a_room_may_have_contracts_of_its_own(house, monkeypatch):
    class Slope(Protocol):
        """A contract of a room."""

        steep: float

    base = ModuleType("mnemos.text.forget.base")
    base.KINDS = {"slope": Slope}
    monkeypatch.setattr(Slope, "__module__", "mnemos.text.forget.base")
    monkeypatch.setitem(sys.modules, "mnemos.text.forget.base", base)
    house("mnemos.text.forget.random", CURVE.format("here"))
    house("mnemos.text.recall.random", CURVE.format("elsewhere"))
    (registry._HOME / "text" / "forget" / "base.py").touch()
    assert get("here", kind=Slope).kind == "slope"
    assert get("elsewhere", kind=Curve).kind == "curve"


def test_a_law_and_a_system_may_share_a_name_and_the_kind_chooses(house):
    house("mnemos.text.forget.hema", CURVE.format("hema"))
    house("mnemos.text.systems.hema", METHOD.format("hema"))
    assert get("hema", kind=Curve).operation == "forget"
    assert get("hema", kind="component").operation == "systems"
    with pytest.raises(InvalidInput, match="'hema' is the name of 2 methods: choose one with kind='curve' or kind="):
        get("hema")


def test_a_method_of_another_kind_answers_with_those_of_the_kind(house):
    house("mnemos.text.forget.m", CURVE.format("steady"), METHOD.format("plain"))
    with pytest.raises(NotFound, match="'plain' is of kind 'component', not 'curve': choose from steady"):
        get("plain", kind=Curve)
    with pytest.raises(NotFound, match="no method is of that kind; kinds are component, curve"):
        get("plain", kind="phase")


def test_a_class_that_is_no_contract_is_refused():
    with pytest.raises(InvalidInput, match="dict is not a contract"):
        get("x", kind=dict)


def test_a_missing_extra_is_named_and_the_method_is_still_listed(house, monkeypatch):
    house("mnemos.activation.forget.cut", METHOD.format("cut"), imported=False)
    monkeypatch.setattr(registry, "installed", lambda form: form != "activation")
    assert names()["activation", "forget", "cut"] == "mnemos.activation.forget.cut"
    assert all_entries() == []
    with pytest.raises(
        NotFound, match=r"'cut' is a method of form 'activation', which needs torch: pip install 'mnemos-os\[torch\]'"
    ):
        get("cut")


def test_a_name_of_two_forms_of_which_one_is_installed_is_that_one(house, monkeypatch):
    house("mnemos.text.forget.random", METHOD.format("random"))
    house("mnemos.activation.forget.random", METHOD.format("random"), imported=False)
    monkeypatch.setattr(registry, "installed", lambda form: form != "activation")
    assert get("random").form == "text"


def test_a_contract_is_satisfied_by_fields_and_by_calls_of_the_same_parameters():
    class Base:
        steep: float

        def value(self, at):
            return at

    class More(Base):
        def value(self, at, scale=1.0):
            return at

    class Other(Base):
        def value(self, time):
            return time

    class Asks(Base):
        def value(self, at, scale):
            return at

    class Flat:
        def value(self, at):
            return at

    assert [satisfies(c, Curve) for c in (Base, More, Other, Asks, Flat)] == [True, True, False, False, False]


def test_a_function_satisfies_a_contract_of_one_call():
    class Call(Protocol):
        def __call__(self, share): ...

    assert satisfies(named("mnemos.text.x"), Call)
    assert not satisfies(lambda other: None, Call)


def test_a_class_is_not_its_own_call():
    class Call(Protocol):
        def __call__(self, *args, **kwargs): ...

    class Called:
        def __call__(self, any): ...

    class NotCalled: ...

    assert satisfies(Called, Call)
    assert not satisfies(NotCalled, Call)


def test_a_contract_that_is_no_protocol_is_a_base_class():
    class Layer: ...

    class Mine(Layer): ...

    assert satisfies(Mine, Layer)
    assert not satisfies(Curve, Layer)
    assert not satisfies(named("mnemos.text.x"), Layer)


def fresh(code, *arguments):
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout.split()


def imported_by_get(name):
    """Which modules of mnemos, and whether torch, `get` imports that `import mnemos` did not."""
    code = (
        "import sys, mnemos, mnemos.registry; before = set(sys.modules); entry = mnemos.registry.get(sys.argv[1]); entry.kind;"
        "print(*sorted(m for m in set(sys.modules) - before if m.startswith('mnemos.') or m == 'torch'))"
    )
    return fresh(code, name)


def test_getting_a_law_imports_no_torch():
    rooms = {m.rpartition(".")[0] for m in imported_by_get("ebbinghaus")}
    assert rooms <= {"mnemos.text", "mnemos.text.forget"}


def test_getting_an_eviction_method_imports_no_other_room():
    pytest.importorskip("torch")
    modules = imported_by_get("knorm")
    assert {"mnemos.activation.forget.knorm", "torch"} <= set(modules)
    rooms = {m.split(".")[2] for m in modules if m.startswith("mnemos.activation.") and m.count(".") > 2}
    assert rooms == {"forget"}


def test_the_names_in_the_source_are_those_that_importing_registers():
    pytest.importorskip("torch")
    code = (
        "import importlib, pkgutil, mnemos; from mnemos import registry as r\n"
        "for form in r.FORMS:\n"
        "    try: package = importlib.import_module('mnemos.' + form)\n"
        "    except ModuleNotFoundError: continue\n"
        "    for m in pkgutil.walk_packages(package.__path__, package.__name__ + '.'): importlib.import_module(m.name)\n"
        "registered = {k: e.target.__module__ for k, e in r._ENTRIES.items()}\n"
        "print(len(registered) > 50, *sorted(map(str, r.names().items() ^ registered.items())))"
    )
    assert fresh(code) == ["True"]
