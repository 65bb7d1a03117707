"""Where an editor writes: the last token of a subject, what a block reads and writes there, and on text in general.

N neurons of a block, D width of the model, B batch, T tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from mnemos.errors import InvalidInput
from mnemos.parametric.answers import device_of, padded
from mnemos.parametric.base import Edit, Example
from mnemos.parametric.changes import Recording
from mnemos.parametric.feedforward import Block, Matrix, inputs_of, outputs_of
from mnemos.parametric.tokens import answer_ids, prompt_ids

Where = Literal["subject", "prompt"]  # the last token of the subject, or of the prompt
Hook = Callable[[Callable[[Tensor], Tensor | None]], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """A text with the place of a subject in it."""

    tokens: list[int]
    at: int  # where is written


def place(tokenizer: Any, prompt: str, subject: str, before: Sequence[int] = (), where: Where = "subject") -> Place:
    """Return a prompt's tokens behind others, and where its subject ends, or the prompt.

    Raises InvalidInput where the subject is not in it.
    """
    end = prompt.rfind(subject) + len(subject)
    if not subject or subject not in prompt:
        raise InvalidInput(f"the subject {subject!r} is not in the prompt {prompt!r}: name a part of the prompt.")
    tokens = prompt_ids(tokenizer, prompt)
    until = prompt_ids(tokenizer, prompt[:end])
    same = next(
        (i for i, (a, b) in enumerate(zip(tokens, until, strict=False)) if a != b), min(len(until), len(tokens))
    )
    start = len(tokens) - len(answer_ids(tokenizer, prompt))
    last = len(tokens) if where == "prompt" else max(same, 1)
    return Place([*tokens[:start], *before, *tokens[start:]], len(before) + last - 1)


def places(tokenizer: Any, edit: Edit, openings: Sequence[Sequence[int]], where: Where) -> list[Place]:
    """Return the prompt of an edit, alone and behind each of some openings."""
    return [place(tokenizer, edit.prompt, edit.subject, before, where) for before in ((), *openings)]


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def read_at(model: Any, found: Sequence[Place], hooks: Sequence[Hook]) -> list[Tensor]:
    """Return what each hook sees at these places (B, width), from one call of the model."""
    seen: dict[int, Tensor] = {}
    tokens, _ = padded([(p.tokens, 0) for p in found], device_of(model))
    at = torch.tensor([p.at for p in found], device=tokens.device)

    def note(i: int) -> Callable[[Tensor], None]:
        def read(states: Tensor) -> None:
            seen[i] = states[torch.arange(len(at), device=at.device), at].detach().float()

        return read

    with ExitStack() as stack:
        for i, hook in enumerate(hooks):
            stack.enter_context(hook(note(i)))
        model(input_ids=tokens)
    return [seen[i] for i in range(len(hooks))]


def keys_of(block: Block) -> Hook:
    """Return the hook of what a block's last matrix reads: its neurons."""
    return lambda read: inputs_of(block.down.module, read)


def states_of(block: Block) -> Hook:
    """Return the hook of what the layer of a block returns."""
    return lambda read: outputs_of(block.layer, read)


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def second_moments(model: Any, blocks: Sequence[Block], texts: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return E[k k^T] (N, N) of each block over the tokens of some texts, in double precision."""
    totals = [torch.zeros(block.neurons, block.neurons, dtype=torch.double) for block in blocks]

    def note(total: Tensor) -> Callable[[Tensor], None]:
        def read(states: Tensor) -> None:
            keys = states.double().flatten(0, -2).cpu()
            total.add_(keys.T @ keys)

        return read

    count = 0
    with ExitStack() as stack:
        for block, total in zip(blocks, totals, strict=True):
            stack.enter_context(inputs_of(block.down.module, note(total)))
        for text in texts:
            model(input_ids=torch.tensor([text], device=device_of(model)))
            count += len(text)
    return [total / count for total in totals]


@torch.no_grad()  # type: ignore[untyped-decorator]  # torch is not read where types are checked
def sampled(model: Any, tokenizer: Any, count: int, length: int, seed: int = 0) -> list[list[int]]:
    """Return texts that a model says when nobody asked, `length` tokens each: what it knows of text in general."""
    draw = torch.Generator().manual_seed(seed)
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    words = model.get_input_embeddings().weight.shape[0]
    start = torch.full((count, 1), first) if first is not None else torch.randint(words, (count, 1), generator=draw)
    tokens, cache = start, None
    for _ in range(length - 1):
        output = model(input_ids=tokens[:, -1:].to(device_of(model)), past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        chances = output.logits[:, -1].float().softmax(-1).cpu()
        tokens = torch.cat([tokens, torch.multinomial(chances, 1, generator=draw)], 1)
    said: list[list[int]] = tokens.tolist()
    return said


def texts_of(model: Any, tokenizer: Any, texts: Sequence[str], seed: int) -> list[list[int]]:
    """Return the tokens of some texts; of texts that the model says where none are given."""
    return [prompt_ids(tokenizer, text) for text in texts] or sampled(model, tokenizer, 128, 32, seed)


def add_product(recording: Recording, matrix: Matrix, u: Tensor, v: Tensor) -> None:
    """Add u v to a matrix (out, in): u (out, r), v (r, in)."""
    u, v = u.float(), v.float()
    matrix.weight.copy_(matrix.weight.double() + u.double() @ v.double())
    recording.adds(matrix.name, *((v.T, u.T) if matrix.turned else (u, v)))


def targets(tokenizer: Any, edit: Edit) -> list[int]:
    """Return the tokens of an edit's new answer. Raises InvalidInput for an empty one."""
    if not edit.target.strip():
        raise InvalidInput(f"the new answer to {edit.prompt!r} is empty: give the words that are to be said.")
    return answer_ids(tokenizer, as_example(edit).answer)


def as_example(edit: Edit) -> Example:
    """Return an edit as an example to learn; a space is put between prompt and answer unless one of them has it."""
    gap = not (edit.prompt[-1:].isspace() or edit.target[:1].isspace())
    return Example(edit.prompt, " " * gap + edit.target)
