"""The server that a browser visits, and its memories."""

import json
import urllib.request
from datetime import UTC, datetime, timedelta

from tests.serve.apps import ListeningApp

START = datetime(2024, 1, 10, 9, tzinfo=UTC)


class Site(ListeningApp):
    """A server on a socket. `now` is the time of its memory, `own` a key with all rights."""

    now = START

    def __init__(self, root):
        super().__init__(root, clock=lambda: self.now)
        self.own = self.key()

    def ask(self, method, path, body=None):
        """Return the response of the API to a key with all rights."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.own}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers, method=method)) as answer:
            return json.load(answer)

    def fill(self, name, count=0):
        """Make a space: a few days of Ana and Bo, with a changed fact, a version, links; or `count` plain memories."""
        space = self.memory.space(name)
        if count:
            space.add_many(
                [{"content": f"Plain memory number {i}.", "at": START - timedelta(hours=i)} for i in range(count)],
                reconcile=False,
            )
            return space
        messages = (
            ("I live in Porto.", "Ana", 0), ("My sister Rita has a dog called Fado.", "Ana", 3), ("What does Fado eat?", "Bo", 3),
            ("Fado eats sardines, whatever the vet says.", "Ana", 3), ("I live in Faro now.", "Ana", 40),
            ("Rita and Fado came to Faro by train.", "Ana", 75),
        )  # fmt: skip
        for text, speaker, day in messages:
            self.now = START + timedelta(days=day)
            space.add(text, speaker=speaker, session=f"day {day}", at=self.now)
        return space
