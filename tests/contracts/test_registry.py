"""What every registered method promises, whatever its form: `pytest tests/contracts -k NAME` checks one of them."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from mnemos.cli import methods_page
from mnemos.cli.measurements import Measurements
from mnemos.cli.parameters import parameters
from mnemos.registry import COMPONENT, all_entries, names

ROOT = Path(__file__).parents[2]
ENTRIES = all_entries()
MEASURED = Measurements(ROOT / "benchmarks" / "results")

# Parts that satisfy no contract on their own: name -> why.
COMPONENTS = {
    "terms": "what the word index and the encoders read of a text",
    "compounds": "a part of the word index",
    "dates": "a part of the encoder `entries`",
    "embed": "a part of the encoder `entries`",
    "vector-map": "a part of `reindex`",
    "read": "a part of the encoder `entries`",
    "context": "packs hits for a prompt, whatever ranked them",
    "sessions": "a part of the retriever `hybrid`",
    "spread": "a part of the retriever `hybrid`",
    "pagerank": "the walk of `spread`",
    "lifelong": "hash functions of several views, which learn by batches of categories",
    "without-speakers": "a part of every search by vectors",
    "semantic-cache": "the rules of a category of `Space.answers`",
    "adaptive-threshold": "chooses the `min_score` of a search, or of forgetting, from outcomes",
    "tune": "a verb: it fits what `hybrid` ranks by",
    "xlstm-time": "forecasts series",
    "neighbourhood-caches": "reads events of a graph",
    "drift-corrected-states": "moves states of a graph's nodes",
    "tree-lstm": "reads trees, where mixers read sequences",
    "temporally-rescaled-error": "a loss of sequences",
    "hopfield-layer": "reads one set with another, or pools it",
    "resonator": "factors products, and keeps nothing",
    "read-temperature": "chooses the temperature of a read",
    "admission": "chooses how many items a memory takes",
    "tensor-brain": "keeps triples with their instants, in embeddings that are trained",
    "memformer": "reads segments, and returns slots",
    "lm2": "reads segments, and returns slots",
    "hmt": "reads segments, and returns memories",
    "perception-memory-inference": "reads segments, and returns two memories",
    "synthetic-gradients": "trains what reads segments",
    "far-reaching": "reads whole texts, group by group",
    "woven-memory": "is woven into a frozen model",
    "reversible-memory": "compresses chunks, and restores them",
    "memory-allocator": "chooses what a memory drops",
    "memory-replay": "trains what reads segments",
    "gated-fusion": "a part of a model around a bank",
    "dual-coding": "answers either code of an entry by the other",
    "hierarchical-chunks": "reads stored states that are given",
    "hippo-legs": "a memory of one signal, which state space layers begin with",
    "elephant": "an activation, of which models are made",
    "chunked-loss": "a loss, where savers hold what any loss keeps",
    "layer-sampling": "chooses what is trained, step by step",
    "density": "adds to a loss what it sees of activations",
    "task-order": "chooses an order of tasks, by a closed form",
    "shape-search": "chooses the layers of a model, before it learns",
    "ideal-linear-learner": "solves regressions, where heads take labels",
    "mimetic-initialisation": "sets the weights with which Mamba layers begin",
}


@pytest.fixture(params=ENTRIES, ids=lambda entry: "-".join(filter(None, (entry.form, entry.operation, entry.name))))
def entry(request):
    return request.param


def test_it_has_a_sentence_that_says_what_it_does(entry):
    assert re.fullmatch(r"\S.*[.:]", entry.summary), entry.summary
    assert len(entry.summary) <= 130


def test_it_names_its_paper_or_says_whose_it_is(entry):
    """A method without a paper is Mnemos' own ("ours"), a baseline, or a textbook's; its docstring or module says which."""
    text = f"{inspect.getmodule(entry.target).__doc__} {entry.target.__doc__}"
    assert entry.papers or re.search(r"\b(ours|Mnemos' own|baselines?|textbooks?)\b", text, re.IGNORECASE)
    for paper in entry.papers:
        assert len(paper.title) > 10
        assert paper.arxiv is None or re.fullmatch(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}", paper.arxiv)
        assert paper.code is None or re.fullmatch(r"[\w.-]+/[\w.-]+", paper.code)


def test_its_baselines_are_methods_of_its_form(entry):
    assert entry.name not in entry.baselines
    assert [b for b in entry.baselines if b not in {name for _, _, name in names(entry.form)}] == []


def test_it_satisfies_a_contract(entry):
    assert (entry.kind == COMPONENT) == (entry.name in COMPONENTS)


def test_it_is_measured_or_says_why_not(entry):
    measured = bool(MEASURED.sentences(entry))
    assert measured or entry.unmeasured, "no result file has it: measure it, or give @register(unmeasured=...) a reason"
    assert not (measured and entry.unmeasured), "it is measured: take `unmeasured` away"


def test_its_parameters_say_what_they_mean(entry):
    assert [p.name for p in parameters(entry.target) if not p.comment] == []


def test_it_is_on_a_page(entry):
    page = ROOT / "docs" / "methods" / methods_page.page_of(entry)
    assert f"\n## {entry.name}\n" in page.read_text(encoding="utf-8")


def test_its_module_does_nothing_when_it_is_imported(entry):
    """Only definitions, constants and imports stand at the top of a method's module."""
    allowed = (
        ast.Import,
        ast.ImportFrom,
        ast.FunctionDef,
        ast.ClassDef,
        ast.Assign,
        ast.AnnAssign,
        ast.AugAssign,
        ast.If,
    )
    tree = ast.parse(inspect.getsource(inspect.getmodule(entry.target)))
    doing = [n for n in tree.body if not isinstance(n, allowed) and not _is_docstring(n)]
    assert [ast.unparse(n) for n in doing] == []


def _is_docstring(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_the_exceptions_are_methods():
    assert COMPONENTS.keys() <= {e.name for e in ENTRIES}
