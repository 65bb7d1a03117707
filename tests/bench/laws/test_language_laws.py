"""Laws of language models: generators against their closed forms, and what is asked of models."""

import random
from itertools import islice, product
from math import log

import pytest
import torch

from mnemos.bench.laws import (
    contamination,
    fits,
    junk,
    leakage,
    population,
    puzzles,
    questions,
    retention,
    ripple,
    specialisation,
    truncation,
)
from mnemos.bench.laws.language import rows
from mnemos.bench.laws.trainer import Trainer, decoder
from mnemos.bench.parametric import tiny
from mnemos.bench.parametric.facts import OPENING, UNKNOWN, Fact
from mnemos.bench.parametric.small_models import loss_of


def test_every_puzzle_has_the_one_solution_that_the_generator_meant():
    drawn = list(islice(puzzles.puzzles("a"), 300))
    for puzzle in drawn:
        right = [
            kinds
            for kinds in product((False, True), repeat=3)
            if all(says.true(kinds) is kind for says, kind in zip(puzzle.said, kinds, strict=True))
        ]
        assert right == [puzzle.solution]
    assert len({puzzle.solution for puzzle in drawn}) == 8
    assert len({tuple(puzzles.coded(puzzle)) for puzzle in drawn}) == 300
    assert {len(puzzles.coded(puzzle)) for puzzle in drawn} == {20}


def test_a_statement_means_what_it_says():
    says = puzzles.Says("one or both are knaves", 0, 2)
    assert [says.true(kinds) for kinds in ((True, True, True), (True, True, False), (False, True, False))] == [
        False,
        True,
        True,
    ]
    told = (
        puzzles.Says("is a knave", 1, None),
        puzzles.Says("are of a kind", 0, 1),
        puzzles.Says("is a knight", 0, None),
    )
    assert puzzles.solutions(told) == [
        (True, False, True)
    ]  # A says B lies; B says A and B are alike; C says A is a knight
    liar = (
        puzzles.Says("is a knave", 1, None),
        puzzles.Says("is a knave", 0, None),
        puzzles.Says("are of two kinds", 0, 1),
    )
    assert puzzles.solutions(liar) == [(False, True, True), (True, False, True)]


def test_changes_of_a_puzzle_change_one_statement_or_the_names_alone():
    rng = random.Random(0)
    for puzzle in islice(puzzles.puzzles("b"), 40):
        other = puzzles.with_another_statement(puzzle, rng)
        assert other is not None
        assert sum(a != b for a, b in zip(puzzle.said, other.said, strict=True)) == 1
        assert (other.names, other.solution != puzzle.solution) == (puzzle.names, True)
        renamed = puzzles.with_other_names(puzzle, rng)
        assert (renamed.said, set(renamed.names) & set(puzzle.names)) == (puzzle.said, set())


def test_the_entropy_of_a_key_falls_by_what_a_summary_tells():
    total = sum(truncation.WEIGHTS)
    whole = -sum(w / total * log(w / total) for w in truncation.WEIGHTS)
    assert truncation.entropy(0) == pytest.approx(whole)
    assert truncation.entropy(truncation.BITS) == 0
    drawn = random.Random(0).choices(range(truncation.KEYS), truncation.WEIGHTS, k=20_000)
    for told in (1, 2, 3):  # H(key) = H(summary) + H(key | summary)
        counts = [0.0] * truncation.KEYS
        for key in drawn:
            counts[truncation._summary(key, told)] += 1 / len(drawn)
        assert truncation.entropy(told) == pytest.approx(whole + sum(c * log(c) for c in counts if c), abs=0.03)


def test_a_text_goes_on_from_its_key_and_a_window_shows_no_key():
    after = random.Random(0).sample(range(truncation.KEYS), truncation.KEYS)
    text = truncation._text(random.Random(1), after)
    chain = [token - truncation.FIRST_KEY for token in text[-truncation.CHAIN - 1 :]]
    assert chain[0] == text[1] - truncation.FIRST_KEY
    assert [after[link] for link in chain[:-1]] == chain[1:]
    cut = [truncation._cut(text, told) for told in truncation.BITS_TOLD]
    assert {tuple(row[2:]) for row in cut} == {tuple(text[2:])}
    assert len({row[1] for row in cut} | {text[1]}) == 1 + len(cut)
    assert cut[0][1] == truncation._cut([*text[:1], truncation.FIRST_KEY, *text[2:]], 0)[1]  # whatever the key is


def test_the_entropy_of_the_world_is_that_of_drawing_a_fact_and_a_wording(monkeypatch):
    monkeypatch.setattr(population, "PEOPLE", 3)
    monkeypatch.setattr(population, "VALUES", 4)
    population.world.cache_clear()
    try:
        world = population.world(0)
        texts = [fact.statement(t) for fact in world.facts for t in range(3)]
        chances = [1 / (fact.rank + 1) / 3 for fact in world.facts for _ in range(3)]
        total = sum(chances)
        nats = -sum(c / total * log(c / total) for c in chances)
        tokens = sum(c / total * (len(rows([text])[0]) - 1) for c, text in zip(chances, texts, strict=True))
        assert population.entropy(0) == pytest.approx(nats / tokens)
    finally:
        population.world.cache_clear()


def test_what_is_asked_of_a_model_is_its_answer_after_the_prompt():
    fact = Fact("Bafade", "home", "Kodo", 0, 0)
    answers = [["Kodo", "Lumi"]]
    ids = rows([f"{fact.prompt()} {value}" for value in answers[0]])

    class Says(torch.nn.Module):  # the next token of the first row, whatever it reads
        def forward(self, read, use_cache):
            logits = torch.zeros(*read.shape, 200)
            logits[:, torch.arange(read.shape[1] - 1), ids[0, 1:]] = 5.0
            return type("Out", (), {"logits": logits})

    found = questions.ask(Says(), [fact], answers)
    assert (found.recalled, found.chosen) == (1.0, 1.0)
    likely = torch.tensor([5.0] + [0.0] * 199).log_softmax(0)
    assert found.likely[0].tolist() == pytest.approx([2 * likely[0].item(), 2 * likely[1].item()])
    assert [of[0] for of in questions.offered([fact], random.Random(0))] == ["Kodo"]


def test_pruning_takes_the_least_weights_and_rounding_leaves_few_values():
    model = torch.nn.Linear(8, 8)
    pruned = population.pruned(model, 0.25)
    zero = pruned.weight == 0
    assert int(zero.sum()) == 16
    assert model.weight[zero].abs().max() < model.weight[~zero].abs().min()
    assert torch.equal(pruned.weight[~zero], model.weight[~zero])
    assert max(len(row.unique()) for row in population.rounded(model, 2).weight) <= 4


def test_planted_questions_are_met_as_often_as_planned():
    rng = random.Random(0)
    asked = {times: [questions.new_fact(rng) for _ in range(3)] for times in (4, 16, 0)}
    met = [text for step in contamination._planted(asked, rng) for text in step]
    for times, facts in asked.items():
        assert [met.count(fact.statement()) for fact in facts] == [times] * 3


def test_chronicles_tell_nothing_after_the_cutoff_and_leave_the_name_out_where_they_are_to():
    rng = random.Random(0)
    dates = [f"Ba{chr(97 + i)}" for i in range(leakage.DATES)]
    series = {"Dodidu": [f"Ko{chr(97 + i)}" for i in range(leakage.DATES)]}
    told = [leakage._chronicle(series, dates, rng) for _ in range(200)]
    words = {word for text in told for word in text.split()}
    assert words & set(dates) == set(dates[: leakage.CUTOFF])
    assert words & set(series["Dodidu"]) == set(series["Dodidu"][: leakage.CUTOFF])
    assert 0.15 < sum(UNKNOWN in text for text in told) / 200 < 0.35
    assert 0.15 < sum(text.count(OPENING) == leakage.TOLD + 1 for text in told) / 200 < 0.35
    asked = leakage._masked(series["Dodidu"], dates, 3, rng)
    assert "Dodidu" not in asked
    assert dates[3] in asked
    assert series["Dodidu"][3] not in asked


def test_junk_is_short_and_about_few_names_and_a_batch_has_its_share_of_it():
    rng = random.Random(0)
    slogans = [junk.slogan(rng) for _ in range(200)]
    assert {len(slogan) for slogan in slogans} == {4, 7, 10}
    names = {slogan[1] for slogan in slogans}
    assert names <= {tiny.WORDS.index(name) for name in tiny.NAMES[: junk.POPULAR]}
    batch = junk._batch(random.Random(1), 0.5)
    tokens = (batch != 0).sum(1)
    short = int(tokens[tokens <= 9].sum())
    assert 0.4 < short / int(tokens.sum()) < 0.65


def test_a_false_statement_is_about_another_region_and_rings_ask_for_what_is_true():
    rng = random.Random(0)
    graph = ripple._graph(rng)
    assert sorted(graph.friend.values()) == sorted(graph.friend)
    for who, home in graph.home.items():
        assert graph.region[ripple._elsewhere(graph, who, rng)] != graph.region[home]
        rings = ripple._rings(graph, who)
        assert tuple(rings) == ripple.RINGS
        friend_of = next(person for person, friend in graph.friend.items() if friend == who)
        assert rings["peripheral"][0].prompt == f"the best friend of {friend_of} was born in"
        assert [of[0].answer for of in list(rings.values())[:3]] == [f" {home}", *[f" {graph.region[home]}"] * 2]
        assert not any(f" {who} " in f" {example.prompt} " for example in rings["unrelated"])


@pytest.fixture(autouse=True)
def _few_samples(monkeypatch):
    monkeypatch.setattr(fits, "TIMES", 4)  # of the intervals, which are tested elsewhere


def seen(law, figures):
    return [claim["seen"] for claim in law.report(figures)["claims"]]


def test_leakage_is_said_of_what_was_recalled_and_not_of_a_model_that_forgets():
    ways = ("asked", "as of an earlier date", "name left out")

    def figures(recalled, later):
        return {
            "by date": {
                way: {str(at): [recalled if at < leakage.CUTOFF else 0.0] for at in range(leakage.DATES)}
                for way in ways
            },
            "read": dict.fromkeys(ways, [recalled]),
            "after": dict.fromkeys(ways, [0.01]),
            "flagged": dict.fromkeys(ways, [recalled]),
            "store": {"earlier": [1.0], "later": [later], "later, plainly": [1.0]},
        }

    assert seen(leakage, figures(1.0, 0.0)) == ["yes"] * 4
    assert seen(leakage, figures(0.2, 0.1)) == [
        "no",
        "yes",
        "partly",
        "no",
    ]  # it is not kept from the little that it knows


def test_contamination_is_forgotten_faster_by_decay_and_never_slower_than_the_bound():
    def figures(falls):
        return {
            str(decay): {
                "gap": {
                    str(times): {str(at): [times / 16 * falls(decay, at) ** (16 / times)] for at in contamination.LATER}
                    for times in contamination.TIMES
                },
                "right": {
                    str(times): {str(at): [0.5] for at in contamination.LATER} for times in (*contamination.TIMES, 0)
                },
                "bound": {str(at): [(1 - 5e-4 * decay) ** at] for at in contamination.LATER},
            }
            for decay in contamination.DECAYS
        }

    assert seen(contamination, figures(lambda decay, at: 0.98**at * (1 - 5e-4 * decay) ** at)) == ["yes"] * 4
    assert seen(contamination, figures(lambda decay, at: 1.0)) == ["no", "no", "no", "yes"]


def test_retention_compares_what_is_left_of_a_batch_after_five_others():
    def figures(**left):
        curves = {of: {str(n): [1 - (1 - last) * n / 5] for n in range(6)} for of, last in left.items()}
        return {"recalled": curves, "chosen": curves, "in any words": curves}

    names = ("untrained", "same words", "other words", "related")
    assert seen(retention, figures(**dict(zip(names, (0.3, 0.6, 0.8, 0.4), strict=True)))) == ["yes"] * 3
    assert seen(retention, figures(**dict(zip(names, (0.5, 0.5, 0.4, 0.6), strict=True)))) == ["no"] * 3


def test_rings_of_a_false_statement_are_in_order_or_not():
    rings = ripple.RINGS

    def figures(name, unrelated=0.0):
        lost = {"context": (1, 1, 0.5, 0.01), "training": (1, 0.2, 0, unrelated), "training its name": name}
        sources = {"false": [1.0], "false, arbiter": [0.0], "new": [1.0], "new, arbiter": [1.0]}
        by = {route: {ring: [float(v)] for ring, v in zip(rings, of, strict=True)} for route, of in lost.items()}
        return {"known": [1.0], "lost": by, "sources": sources}

    assert seen(ripple, figures((1, 0.7, 0, 0.04))) == ["yes"] * 4
    assert seen(ripple, figures((1, 0.7, 0, 0), unrelated=0.2)) == ["partly", "partly", "yes", "yes"]
    assert seen(ripple, figures((1, 0.3, 0.9, 0))) == ["partly", "yes", "yes", "yes"]


def test_the_embedding_of_a_name_alone_is_trained():
    graph = ripple._graph(random.Random(0))
    model, who = decoder(16, 0), next(iter(graph.home))
    made = ripple._named(model, who, next(iter(graph.region)))
    changed = {
        n for (n, a), b in zip(model.named_parameters(), made.parameters(), strict=True) if not torch.equal(a, b)
    }
    assert changed == {"model.embed_tokens.weight"}
    row = rows([who])[0, 1]
    same = (model.get_input_embeddings().weight == made.get_input_embeddings().weight).all(1)
    assert same.tolist() == [at != row for at in range(len(same))]


def test_the_price_of_an_adapter_is_compared_where_the_domain_gained_as_much():
    def figures(adapter):
        def domain(end, steps=specialisation.STEPS):
            return {str(step): [2 + (end - 2) * step / steps[-1]] for step in steps}

        ways = {"all weights": (1.0, 4.0), "replay": (1.1, 2.1), "adapter": adapter}
        return {way: {"people": domain(own), "code": domain(other)} for way, (own, other) in ways.items()}

    assert seen(specialisation, figures((1.5, 2.5))) == ["yes", "yes", "yes"]  # .5 where all weights cost 1
    assert seen(specialisation, figures((1.5, 2.9))) == ["yes", "yes", "partly"]
    assert seen(specialisation, figures((1.5, 3.1))) == ["yes", "yes", "no"]


def test_junk_that_changes_nothing_is_not_called_harmful():
    doses = [str(dose) for dose in junk.DOSES]

    def figures(scores, healed, flagged):
        return {
            "before": {"reading": [1.0]}, "dose": {d: {"reading": [s]} for d, s in zip(doses, scores, strict=True)},
            "healed": {"reading": [healed]}, "rolled back": {"reading": [1.0]},
            "flagged": {d: [f] for d, f in zip(doses, flagged, strict=True)},
        }  # fmt: skip

    assert seen(junk, figures([1, 0.9, 0.7, 0.4, 0.1], 0.6, [1.1, 0.8, 0.6, 0.4, 0.2])) == ["yes"] * 4
    assert seen(junk, figures([0.9, 1, 0.9, 1, 0.95], 0.95, [0.5] * 5)) == ["no", "no", "partly", "yes"]


def test_a_trainer_learns_the_tokens_that_count_and_muon_the_matrices_of_layers():
    ids = torch.tensor([[1, 5, 6, 7, 8], [1, 9, 6, 7, 4]])
    model = decoder(16, 0)
    logits = model(ids, use_cache=False).logits
    whole, last = (
        torch.nn.functional.cross_entropy(logits[:, a:-1].flatten(0, 1), ids[:, a + 1 :].flatten()) for a in (0, 2)
    )
    assert (loss_of(model, ids).item(), loss_of(model, ids, 2).item()) == (
        pytest.approx(whole.item()),
        pytest.approx(last.item()),
    )
    trainer = Trainer(model, 1e-2, counted=2, muon=2e-2)
    by_muon = {id(p) for p in trainer.optimizers[1][0].param_groups[0]["params"]}
    assert by_muon == {id(p) for name, p in model.named_parameters() if ".layers." in name and p.ndim == 2}
    losses = [trainer.step(ids) for _ in range(20)]
    assert losses[0] == pytest.approx(last.item())
    assert losses[-1] < 0.5 * losses[0]
