"""Recognition, recall and clashes, on models whose answers are written down."""

from types import SimpleNamespace

import pytest
import torch

from mnemos.bench.parametric.facts import make_tokenizer
from mnemos.errors import InvalidInput
from mnemos.parametric.clashes import Clash, Decided, Evidence, arbitrate, decide
from mnemos.parametric.recognition import losses, recall, recognition

TOKENIZER = make_tokenizer()
LEARNED = ["Bafa lives in Koko .", "the job of Mimi is Dude ."]
FOILS = ["Bafa lives in Kiko .", "the job of Mimi is Dodo ."]


class Parrot(torch.nn.Module):
    """Says what follows in the texts it was given, looked up by the last two tokens; else the first token of all."""

    def __init__(self, texts, sure=9.0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.next, self.sure = {}, sure
        for text in texts:
            ids = TOKENIZER(text).input_ids
            self.next |= {tuple(ids[max(0, i - 2) : i]): ids[i] for i in range(1, len(ids))}

    @property
    def device(self):
        return self.weight.device

    def forward(self, input_ids, attention_mask=None, use_cache=False, logits_to_keep=0):
        logits = torch.zeros(*input_ids.shape, len(TOKENIZER))
        for b, row in enumerate(input_ids.tolist()):
            for t in range(len(row)):
                said = self.next.get(tuple(row[max(0, t - 1) : t + 1]))
                if said is not None:
                    logits[b, t, said] = self.sure
        return SimpleNamespace(logits=logits[:, -logits_to_keep:])


def test_what_was_learned_is_recognised_and_what_is_not_known_is_at_chance():
    pairs = list(zip(LEARNED, FOILS, strict=True))
    assert recognition(Parrot(LEARNED), TOKENIZER, pairs).value == 1.0
    assert recognition(Parrot(FOILS), TOKENIZER, pairs).value == 0.0
    assert recognition(Parrot([]), TOKENIZER, pairs) == recognition(Parrot([]), TOKENIZER, [p[::-1] for p in pairs])
    assert recognition(Parrot([]), TOKENIZER, pairs).value == 0.5  # every token is as likely
    assert losses(Parrot([]), TOKENIZER, LEARNED) == pytest.approx([torch.tensor(len(TOKENIZER)).log().item()] * 2)


def test_a_text_is_recalled_only_where_all_of_its_rest_is_said():
    assert recall(Parrot(LEARNED), TOKENIZER, [*LEARNED, *FOILS]).value == 0.5
    assert recall(Parrot(LEARNED), TOKENIZER, LEARNED, cue=0.2).n == 2
    for cue in (0.0, 1.0):
        with pytest.raises(InvalidInput, match="cue is"):
            recall(Parrot([]), TOKENIZER, LEARNED, cue)
    for ask in (recall, recognition):
        with pytest.raises(InvalidInput):
            ask(Parrot([]), TOKENIZER, [])


def test_clashes_are_counted_for_the_side_whose_answer_is_said():
    clash = Clash("Bafa lives in", " Koko", " Kiko", "Bafa lives in Koko . ", "Bafa lives in Kiko . ")
    assert clash.context("support first") == "Bafa lives in Koko . Bafa lives in Kiko . "
    assert decide(Parrot([LEARNED[0]]), TOKENIZER, [clash] * 3) == Decided(3, 0, 0)
    assert decide(Parrot([FOILS[0]]), TOKENIZER, [clash], "nothing") == Decided(0, 1, 0)
    assert decide(Parrot([]), TOKENIZER, [clash]) == Decided(0, 0, 1)
    assert Decided(1, 3, 5).ratio == 0.25
    with pytest.raises(InvalidInput, match="none of 5 clashes"):
        _ = Decided(0, 0, 5).ratio


def test_the_arbiter_prefers_a_trusted_source_and_then_the_newest():
    old, new, mail = Evidence("a", 1, "weights"), Evidence("b", 2, "notes"), Evidence("c", 0, "mail")
    assert arbitrate([new, old, mail]) is new
    assert arbitrate([new, old, mail], trusted=["mail"]) is mail
    assert arbitrate([new, old], trusted=["mail", "weights"]) is old
    assert arbitrate([Evidence("a", 1), Evidence("b", 1)]).text == "b"
    with pytest.raises(InvalidInput, match="no evidence"):
        arbitrate([])
