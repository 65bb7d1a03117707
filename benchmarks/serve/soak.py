"""Send 200,000 requests of all kinds to a server and watch its memory, which must stay at its level after the warm-up.

    pip install '.[serve]'
    python -m benchmarks serve-soak

Eight clients each use their own space, which never has more than about a hundred memories: what is added is later erased.
They add, search (repeated questions and new ones, embedded by the bundled model), request contexts, list, get, update,
forget, read histories, facts and counts, and send wrong keys and malformed requests. Every response must have the expected
status. The resident memory of the server is read every 1,000 requests; the slope is that of a straight line fitted to the
readings after the first tenth.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serve.serving import Served
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.synthetic import Corpus
from mnemos.serve.keys import KeyStore

REQUESTS, CLIENTS, MOST, EVERY, WORDS = 200_000, 8, 100, 1_000, 20_000
MALFORMED = (
    b"{",
    b"[]",
    b'{"query": 5}',
    b'{"query": ""}',
    b'{"nothing": "known"}',
    b'{"query": "a", "k": 0}',
)


class Client:
    """One client and its space. Each verb sends one request and returns (status, expected status)."""

    def __init__(self, number: int, server: Served, token: str) -> None:
        self.dice = random.Random(number)
        self.http = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self.token = token
        self.base = f"/v1/spaces/soak-{number}"
        corpus = Corpus(number, WORDS)
        self.words = corpus.words
        self.known = corpus.queries(50)
        self.messages = corpus.messages(10**9)
        self.ids: list[str] = []
        self.answer: Any = None

    def send(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
        """Send a request; return the status and the data of the response."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {token or self.token}", "Content-Type": "application/json"}
        self.http.request(method, path, data, headers)
        answer = self.http.getresponse()
        self.answer = json.loads(answer.read())
        return answer.status, self.answer

    def one(self) -> tuple[str, int, int]:
        """Send one random request and keep the size of the space in bounds; return (verb, status, expected status)."""
        verbs, weights = zip(*VERBS.items(), strict=True)
        verb = self.dice.choices(verbs, weights)[0]
        if len(self.ids) < MOST // 5:
            verb = Client.add
        elif len(self.ids) > MOST:
            verb = Client.forget
        status, wanted = verb(self)
        return verb.__name__, status, wanted

    def random_cube(self) -> str:
        """Return the path of a random memory of this space."""
        return f"{self.base}/cubes/{self.dice.choice(self.ids)}"

    def new(self) -> str:
        """Return a new question."""
        return f"What about {' '.join(self.dice.choices(self.words, k=5))}?"

    def add(self) -> tuple[int, int]:
        """Add one message or three."""
        messages = [
            {"content": m["content"], "speaker": m["speaker"], "session": m["session"], "at": m["at"].isoformat()}
            for m in (next(self.messages) for _ in range(self.dice.choice((1, 1, 3))))
        ]
        status, data = self.send("POST", f"{self.base}/cubes", {"messages": messages})
        self.ids += [cube["id"] for cube in data.get("cubes", ()) if cube["id"] not in self.ids]
        return status, 201

    def search_known(self) -> tuple[int, int]:
        """Search with a repeated question."""
        return self.send("POST", f"{self.base}/search", {"query": self.dice.choice(self.known)})[0], 200

    def search_new(self) -> tuple[int, int]:
        """Search with a new question."""
        return self.send("POST", f"{self.base}/search", {"query": self.new(), "k": self.dice.randint(1, 50)})[0], 200

    def context(self) -> tuple[int, int]:
        """Request a block for a prompt."""
        return self.send("POST", f"{self.base}/context", {"question": self.new(), "tokens": 500})[0], 200

    def cubes(self) -> tuple[int, int]:
        """Read a page of the list."""
        return self.send("GET", f"{self.base}/cubes?limit=50&speaker=Ana")[0], 200

    def get(self) -> tuple[int, int]:
        """Read one memory."""
        return self.send("GET", self.random_cube())[0], 200

    def update(self) -> tuple[int, int]:
        """Change one memory."""
        return self.send("PATCH", self.random_cube(), {"content": f"It was {self.new()}"})[0], 200

    def history(self) -> tuple[int, int]:
        """Read the versions of one memory."""
        return self.send("GET", self.random_cube() + "/history")[0], 200

    def facts(self) -> tuple[int, int]:
        """Read the facts."""
        return self.send("GET", f"{self.base}/facts")[0], 200

    def stats(self) -> tuple[int, int]:
        """Read the counts."""
        return self.send("GET", f"{self.base}/stats")[0], 200

    def forget(self) -> tuple[int, int]:
        """Erase up to five memories."""
        ids = [self.ids.pop(self.dice.randrange(len(self.ids))) for _ in range(min(5, len(self.ids)))]
        return self.send("POST", f"{self.base}/forget", {"ids": ids, "preview": False})[0], 200

    def wrong_key(self) -> tuple[int, int]:
        """Send an invalid key."""
        wrong = self.token[:-6] + "".join(self.dice.choices("abcdefgh", k=6))
        return self.send("GET", f"{self.base}/cubes", token=wrong)[0], 401

    def malformed(self) -> tuple[int, int]:
        """Send a malformed search."""
        return self.send("POST", f"{self.base}/search", self.dice.choice(MALFORMED))[0], 422


VERBS: dict[Callable[[Client], tuple[int, int]], int] = {  # verb -> share in percent
    Client.add: 6, Client.search_known: 26, Client.search_new: 3, Client.context: 2, Client.cubes: 8, Client.get: 24,
    Client.update: 3, Client.history: 6, Client.facts: 6, Client.stats: 4, Client.forget: 2, Client.wrong_key: 5,
    Client.malformed: 5,
}  # fmt: skip


class Soak:
    """State shared by the clients: the requests left to send, and the results so far."""

    def __init__(self, server: Served, requests: int) -> None:
        self.server = server
        self.left = requests
        self.sent = 0
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.unexpected: Counter[str] = Counter()
        self.samples: list[tuple[int, float]] = []
        self._lock = threading.Lock()

    def run(self, client: Client) -> None:
        """Send requests with one client until none are left."""
        while self._take():
            name, status, wanted = client.one()
            with self._lock:
                self.statuses[name, status] += 1
                if status != wanted:
                    self.unexpected[f"{name}: {status} {client.answer.get('detail', '')}"] += 1
        client.http.close()

    def _take(self) -> bool:
        with self._lock:
            if not self.left:
                return False
            self.left -= 1
            self.sent += 1
            if self.sent % EVERY == 0:
                self.samples.append((self.sent, self.server.rss_mb()))
                if self.sent % (10 * EVERY) == 0:
                    print(f"{self.sent:,} requests, {self.samples[-1][1]:.0f} MB", file=sys.stderr, flush=True)
            return True


def measure(root: Path, requests: int, *, clients: int = CLIENTS, embedder: str = "bundled") -> dict[str, Any]:
    """Send `requests` requests and return the results."""
    with closing(KeyStore.under(root)) as keys:
        token, _ = keys.add("soak", spaces=["*"], rights=["read", "write", "erase"])
    with Served(root, "--embedder", embedder) as server:
        soak = Soak(server, requests)
        start = time.monotonic()
        threads = [threading.Thread(target=soak.run, args=(Client(n, server, token),)) for n in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.monotonic() - start
    by_verb: dict[str, dict[str, int]] = {}
    for (name, status), count in sorted(soak.statuses.items()):
        by_verb.setdefault(name, {})[str(status)] = count
    return {
        "requests": soak.statuses.total(), "clients": clients, "embedder": embedder, "cubes_at_most": clients * (MOST + 3),
        "seconds": round(seconds), "per_second": round(soak.sent / seconds, 1), **memory(soak.samples, requests),
        "errors": sum(n for (_, status), n in soak.statuses.items() if status >= 500),
        "unexpected": dict(soak.unexpected), "statuses": by_verb,
        "samples": [[sent, round(mb, 1)] for sent, mb in soak.samples],
    }  # fmt: skip


def memory(samples: list[tuple[int, float]], requests: int) -> dict[str, float]:
    """Return resident memory in MB after the warm-up, its maximum and its end, and its slope per 10,000 requests."""
    later = np.array([(sent, mb) for sent, mb in samples if sent >= requests / 10])
    slope = np.polyfit(later[:, 0], later[:, 1], 1)[0] * 10_000
    half = later[len(later) // 2 :]
    last = np.polyfit(half[:, 0], half[:, 1], 1)[0] * 10_000
    return {
        "rss_warm_mb": round(float(later[0, 1]), 1), "rss_most_mb": round(float(later[:, 1].max()), 1),
        "rss_end_mb": round(float(later[-1, 1]), 1), "mb_per_10000": round(float(slope), 2),
        "mb_per_10000_second_half": round(float(last), 2),
    }  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Number of requests and clients."""

    requests: int = 200_000  # requests to send
    clients: int = CLIENTS  # clients, each with its own space
    embedder: str = "bundled"  # what embeds the texts


def table(result: Result) -> Rows:
    """Return the table of a server's memory over many requests."""
    return [
        [
            f"{result['requests']:,} requests of {len(result['statuses'])} kinds, {result['clients']} clients",
            "measured",
        ],
        ["resident memory after the first tenth", f"{result['rss_warm_mb']:.0f} MB"],
        ["maximum / at the end", f"{result['rss_most_mb']:.0f} / {result['rss_end_mb']:.0f} MB"],
        ["slope after the first tenth, per 10,000 requests", f"{result['mb_per_10000']:.2f} MB"],
        ["slope in the second half, per 10,000 requests", f"{result['mb_per_10000_second_half']:.2f} MB"],
        ["responses 5xx", result["errors"]],
        ["responses with an unexpected status", sum(result["unexpected"].values())],
    ]


def problem(result: Result) -> str | None:
    """Return the responses with an unexpected status."""
    return str(result["unexpected"]) if result["errors"] or result["unexpected"] else None


@benchmark(
    "serve-soak",
    help="Memory use of a server over 200,000 requests of all kinds.",
    options=Options,
    tables={"serve-soak": table},
    problem=problem,
    extra="serve",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Send the requests to a server of an empty root."""
    with tempfile.TemporaryDirectory(prefix="mnemos-soak-") as root:
        return measure(Path(root), options.requests, clients=options.clients, embedder=options.embedder)
