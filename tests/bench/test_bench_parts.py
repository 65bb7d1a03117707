"""Benchmarks in parts: what is asked for and is not there is said before anything is measured."""

from dataclasses import MISSING, fields
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from mnemos.bench.progress import Silent
from mnemos.bench.registry import all_benchmarks
from mnemos.errors import InvalidInput

# the others name their parts in a type, which the command line checks
IN_PARTS = {
    benchmark.name: benchmark
    for benchmark in all_benchmarks()
    if benchmark.parts and get_origin(get_args(get_type_hints(benchmark.options)["parts"])[0]) is not Literal
}


@pytest.mark.parametrize("name", IN_PARTS)
def test_a_part_that_is_not_there_is_named_beside_those_that_are(name, tmp_path):
    benchmark = IN_PARTS[name]
    required = {field.name: tmp_path for field in fields(benchmark.options) if field.default is MISSING}
    with pytest.raises(InvalidInput, match="nosuchpart"):
        benchmark.run(benchmark.options(**{**required, "parts": ("nosuchpart",)}), Silent())
