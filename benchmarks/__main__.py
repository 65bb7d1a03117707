"""`python -m benchmarks NAME`: measure Mnemos itself and its peers."""

from __future__ import annotations

import typer

from mnemos.cli.bench import Benchmarks


class Product(Benchmarks):
    """The benchmarks of this package as commands."""

    package = "benchmarks"


app = typer.Typer(cls=Product, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def main() -> None:
    """Measure Mnemos itself and its peers: each run writes one JSON result that the docs are rendered from."""


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
