"""Prefix-cache hits of a conversation with memory: `mnemos bench stable-context --data locomo10.json`.

A user asks 50 questions of LoCoMo in one conversation, and the assistant answers them as the data does. The memory is asked
before each, and the whole prompt is what a server of the model is sent. Its prefix cache is simulated by vLLM's rule: full
blocks of 16 tokens, each named by its tokens and the block before it; what a prompt begins with is found as long as all of
it is, and never its last token. Nothing is ever evicted. Three prompts are compared:

- "anew": the context of the question as a system message after the instructions, as the proxy has it by default;
- "appended": there too, but what was shown stays and new records follow (`Space.context(shown=...)`);
- "in place": each block stays before the message for which it was recalled (`mnemos serve --in-place`).

Recall is the share of the questions' evidence turns that are in the prompt when they are asked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.locomo import DEVELOPMENT, haystack
from mnemos.bench.text.task import Haystack, checksum, read_json
from mnemos.system import Mnemos

if TYPE_CHECKING:
    from mnemos.space import Space

BLOCK = 16  # tokens, vLLM's
INSTRUCTIONS = "You are a helpful assistant. Use what the records say, and cite their ids."
Message = dict[str, str]


@dataclass(frozen=True)
class Options:
    """The data, the tokenizer, and the sizes."""

    data: Path  # LoCoMo's locomo10.json
    model: str = "smollm2"  # a folder with a tokenizer and a chat template, or smollm2
    turns: int = 50  # of a conversation
    tokens: int = 800  # of memories for a question
    growth: int = 8  # times as many that all blocks of a conversation may have
    report: bool = False  # the report half of LoCoMo, not the development half
    embedder: str = "bundled"  # what embeds the texts


def table(result: Result) -> Rows:
    """Return hits, recall and lengths by way of prompting."""
    head = ["memories stand", "prompt tokens cached", "evidence in the prompt", "tokens a prompt", "tokens computed"]
    return [
        head,
        *(
            [name, percent(row["hits"]), percent(row["recall"]), f"{row['prompt']:,.0f}", f"{row['computed']:,.0f}"]
            for name, row in result["ways"].items()
        ),
    ]


class PrefixCache:
    """vLLM's rule: full blocks of tokens, found by their content and the block before."""

    def __init__(self) -> None:
        self._blocks: set[bytes] = set()

    def read(self, tokens: Sequence[int]) -> int:
        """Return how many of the tokens are found, and keep all full blocks."""
        from mnemos.activation.paged.prefix import block_digests, root_digest

        digests = block_digests(root_digest({}), tokens, BLOCK)
        found = 0
        for digest in digests[: (len(tokens) - 1) // BLOCK]:
            if digest not in self._blocks:
                break
            found += BLOCK
        self._blocks.update(digests)
        return found


@dataclass
class Way:
    """One way to put memories into the prompts of a conversation."""

    system: str = ""  # the memories after the instructions
    said: list[Message] = field(default_factory=list)  # the conversation, with what stands in it
    there: str = ""  # all memories that are in the prompt

    def messages(self, question: str) -> list[Message]:
        """Return the prompt with the next question."""
        first = [{"role": "system", "content": INSTRUCTIONS}]
        if self.system:
            first.append({"role": "system", "content": self.system})
        return [*first, *self.said, {"role": "user", "content": question}]


def anew(way: Way, space: Space, question: str, options: Options) -> list[Message]:
    """Put the context of the question alone after the instructions."""
    way.system = way.there = space.context(question, tokens=options.tokens)
    return way.messages(question)


def appended(way: Way, space: Space, question: str, options: Options) -> list[Message]:
    """Keep what stands after the instructions, and append to it."""
    most = options.growth * options.tokens
    way.system = way.there = space.context(question, tokens=options.tokens, shown=way.there, most=most)
    return way.messages(question)


def in_place(way: Way, space: Space, question: str, options: Options) -> list[Message]:
    """Put what is new before the question, and keep it there."""
    most = options.growth * options.tokens
    now = space.context(question, tokens=options.tokens, shown=way.there, most=most)
    if way.there and not now.startswith(way.there):  # all began again
        way.said = [{**m, "content": m["content"].rpartition("</memory-")[2].partition(">\n\n")[2] or m["content"]}
                    for m in way.said]  # fmt: skip
        new = now
    else:
        new = now[len(way.there) :].strip("\n")
    way.there = now
    return way.messages(f"{new}\n\n{question}" if new else question)


WAYS: dict[str, Callable[[Way, Space, str, Options], list[Message]]] = {
    "anew, after the instructions": anew,
    "appended, after the instructions": appended,
    "in place": in_place,
}


@benchmark(
    "stable-context",
    help="Prefix-cache hits of conversations with memory, by where the memories stand in the prompt.",
    options=Options,
    tables={"stable-context": table},
    problem=lambda result: None if result["lost"] == 0 else "recall was lost to stable blocks",
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Ask the questions of each conversation in all three ways."""
    from mnemos.activation.pretrained import load_tokenizer

    tokenizer = load_tokenizer(options.model)
    samples = [
        haystack(sample)
        for sample in read_json(options.data, "locomo10.json")
        if (sample["sample_id"] in DEVELOPMENT) != options.report
    ]
    answers = {sample["sample_id"]: sample["qa"] for sample in read_json(options.data, "locomo10.json")}
    progress.expect(len(samples) * options.turns)
    rows = []
    for sample in samples:
        for turn in _conversation(sample, answers[sample.name], tokenizer, options):
            rows.append(turn)
            progress(1)
    ways = {name: _summary([row[name] for row in rows]) for name in WAYS}
    plain, *others = WAYS
    lost = sum(row[other]["found"] < row[plain]["found"] for row in rows for other in others)
    source = {"file": options.data.name, "sha256": checksum(options.data)}
    return {"source": source, "conversations": [s.name for s in samples], "questions": len(rows), "ways": ways,
            "lost": lost, "turns": options.turns, "tokens": options.tokens, "block": BLOCK}  # fmt: skip


def _conversation(sample: Haystack, qa: Sequence[Any], tokenizer: Any, options: Options) -> Iterator[dict[str, Any]]:
    """Yield, for each question and way, prompt tokens, cached ones, evidence turns, and those in the prompt."""
    from mnemos.text.recall.context import records

    with tempfile.TemporaryDirectory() as root, Mnemos(root, embedder=options.embedder) as memory:
        space = memory.space(sample.name)
        space.add_many(sample.messages)
        ways, caches = {name: Way() for name in WAYS}, {name: PrefixCache() for name in WAYS}
        for question in sample.questions[: options.turns]:
            gold, row = set(question.gold["turn"]), {}
            answer = str(qa[int(question.id.rpartition("/")[2])].get("answer", "I do not know."))
            for name, ask in WAYS.items():
                way = ways[name]
                messages = ask(way, space, question.text, options)
                text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
                tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
                there = {record.id for record in records(way.there)}
                row[name] = {"prompt": len(tokens), "cached": caches[name].read(tokens), "gold": len(gold),
                             "found": len(gold & there)}  # fmt: skip
                way.said += [messages[-1], {"role": "assistant", "content": answer}]
            yield row


def _summary(rows: Sequence[dict[str, int]]) -> dict[str, float]:
    prompt, cached = sum(row["prompt"] for row in rows), sum(row["cached"] for row in rows)
    recall = sum(row["found"] / row["gold"] for row in rows) / len(rows)
    return {"hits": round(cached / prompt, 4), "recall": round(recall, 4), "prompt": round(prompt / len(rows), 1),
            "computed": round((prompt - cached) / len(rows), 1)}  # fmt: skip
