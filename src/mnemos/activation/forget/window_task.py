"""The small classifier by which WindowKV knows what it is asked for: one place in a text, or all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mnemos.activation.recall.vectors import Embed, text_vector
from mnemos.errors import InvalidInput

WindowTask = Literal["localise", "aggregate"]
INSTRUCTIONS: dict[WindowTask, tuple[str, ...]] = {  # what it learns from, unless it is given other examples
    "localise": (
        "What is the name of Ana's dog?", "Where was the contract signed?", "Answer the question based on the passage.",
        "Who wrote the letter to the mayor?", "When did the meeting take place?", "Find the passkey in the text.",
        "Which city does Bruno live in?", "What number is on the door?", "Which paragraph mentions the accident?",
        "What is the value of the variable x?", "Who was the first director of the museum?", "What colour is the car?",
        "In which year was she born?", "What did he say to his sister?", "Which function opens the file?",
        "Give the exact date of the delivery.",
    ),
    "aggregate": (
        "Summarize the following report.", "How many different people are mentioned in the text?",
        "Write a one-page summary of the meeting.", "What are the main themes of this story?",
        "List the most frequent words in the text.", "Give an overview of the whole document.",
        "Count the paragraphs that are unique.", "What is the overall mood of the conversation?",
        "Condense the article into three sentences.", "Compare all the opinions in these reviews.",
        "What topics were discussed in general?", "Describe the development of the plot.",
        "How often does each name occur?", "Draw a conclusion from all of the results.",
        "Write an abstract for this paper.", "Outline the key points of the lecture.",
    ),
}  # fmt: skip


@dataclass
class TaskClassifier:
    """A logistic regression on the vector of an instruction: the mean of its token embeddings, or another one.

    As a classifier of `WindowKV` it sees the last tokens of a prompt.
    """

    model: Any  # of transformers, whose token embeddings are read
    weight: Tensor  # (width,)
    bias: Tensor  # ()
    embed: Embed | None = None  # ids (T,) to a vector; None: the mean of the model's token embeddings

    @staticmethod
    def fit(
        model: Any, examples: dict[WindowTask, Sequence[Tensor]], embed: Embed | None = None, rounds: int = 200
    ) -> TaskClassifier:
        """Learn from instructions as ids (T,), by task; milliseconds. Raises InvalidInput without examples of both."""
        if not examples.get("localise") or not examples.get("aggregate"):
            raise InvalidInput("give examples of both tasks, 'localise' and 'aggregate'.")
        texts = [ids for task in ("localise", "aggregate") for ids in examples[task]]
        with torch.no_grad():
            vectors = torch.stack([text_vector(model, ids, embed) for ids in texts])
        wanted = torch.tensor([0.0] * len(examples["localise"]) + [1.0] * len(examples["aggregate"]))
        scale = vectors.std(0).mean().clamp(min=1e-9)
        weight = torch.zeros(vectors.shape[1], requires_grad=True)
        bias = torch.zeros((), requires_grad=True)
        optimiser = torch.optim.Adam([weight, bias], 0.05, weight_decay=0.01)
        with torch.enable_grad():
            for _ in range(rounds):
                loss = binary_cross_entropy_with_logits(vectors @ weight / scale + bias, wanted)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return TaskClassifier(model, (weight / scale).detach(), bias.detach(), embed)

    def __call__(self, ids: Tensor) -> WindowTask:
        """Return what an instruction (T,) asks for."""
        with torch.no_grad():
            logit = text_vector(self.model, ids, self.embed) @ self.weight + self.bias
        return "aggregate" if float(logit) > 0 else "localise"
