"""The contract of a code: it is fitted to vectors, turns vectors into bytes, and scores bytes against a query.

`N` vectors, `Q` example queries, `D` numbers a vector, `B` bytes a code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mnemos.index.base import Floats

Bytes = NDArray[np.uint8]
Arrays = Mapping[str, NDArray[Any]]


class Coder(Protocol):
    """A fitted code. It never changes; codes of two coders cannot be compared."""

    def encode(self, vectors: Floats) -> Bytes:
        """Return the codes (N, B) of unit vectors (N, D), the same ones whatever else is encoded with them."""

    def scores(self, codes: Bytes, query: Floats) -> Floats:
        """Return how near codes (N, B) are to a unit query (D,), (N,): higher is nearer. Units are the code's own."""

    def arrays(self) -> Arrays:
        """Return its parameters, from which `coder` makes it again."""


class Code(Protocol):
    """A way to make codes: a frozen data class whose fields are its knobs, `bytes` a vector among them."""

    def fit(self, vectors: Floats, questions: Floats | None = None) -> Coder:
        """Return a coder fitted to unit vectors (N, D); one that learns rankings also looks at questions (Q, D).

        The same arguments give the same coder. Raises InvalidInput for fewer vectors than it needs.
        """


KINDS = {"code": Code}
