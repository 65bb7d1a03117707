"""Importing mnemos imports no framework, and an adapter without its framework says what to install."""

import subprocess
import sys

import pytest

FRAMEWORKS = ("langgraph", "langchain_core", "agents", "llama_index", "anthropic", "mem0")


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_mnemos_and_the_adapters_that_need_none_import_no_framework():
    out = run(
        "import sys, mnemos, mnemos.adapters.mem0, mnemos.adapters.anthropic_memory\n"
        f"print([name for name in {FRAMEWORKS} if name in sys.modules])"
    )
    assert (out.stdout, out.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("langgraph", "langgraph", "langgraph"), ("langgraph_checkpoints", "langgraph", "langgraph"),
        ("langchain", "langchain_core", "langchain"),
        ("openai_agents", "agents", "openai-agents"), ("llamaindex", "llama_index", "llamaindex"),
    ],
)  # fmt: skip
def test_a_missing_framework_is_named(module, package, extra):
    out = run(f"import sys; sys.modules['{package}'] = None; import mnemos.adapters.{module}")
    assert out.stderr.splitlines()[-1].startswith("mnemos.errors.MnemosError: ")
    assert f"pip install 'mnemos-os[{extra}]'" in out.stderr
