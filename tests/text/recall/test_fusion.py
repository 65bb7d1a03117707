"""Fusion: what it never does, and what it does where one of its parts knows nothing."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.bench.text.hands import packaged
from mnemos.embed.minilm import MiniLM
from mnemos.index.terms import index_terms
from mnemos.store.values import Changes, IndexRow
from mnemos.text.recall.bm25 import Bm25
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.cosine import Cosine
from mnemos.text.recall.cues import CUES
from mnemos.text.recall.fusion import Model, fuse, model
from mnemos.text.recall.hybrid import Hybrid
from mnemos.text.recall.layout import PAUSE
from mnemos.text.recall.moments import DAY, NEAR, REACH, Moments
from mnemos.text.recall.query import Query, make_query
from mnemos.text.recall.signals import EITHER_WAY, SIGNALS, read, signals
from mnemos.text.recall.snapshot import Snapshot

FACTS = [
    (f"{name} {does} in {place}.", f"Where did {name} {ask}?")
    for name, does, ask, place in [
        ("Thomas Kyd", "was born", "come to be born", "London"), ("Hines Ward", "was born", "come to be born", "Seoul"),
        ("Ana Lima", "lives", "live", "Lisbon"), ("Bo Berg", "lives", "live", "Oslo"), ("Cleo Diaz", "works", "work", "Madrid"),
        ("Dan Ito", "works", "work", "Kyoto"), ("Eva Falk", "studied", "study", "Vienna"),
        ("Finn Gray", "studied", "study", "Cork"), ("Gus Hale", "grew up", "grow up", "Perth"),
        ("Hana Ishi", "grew up", "grow up", "Osaka"), ("Ivo Jung", "married", "marry", "Graz"),
        ("Jo Kerr", "married", "marry", "Leeds"),
    ]
]  # fmt: skip
CHINESE = [
    ("周三上午去医院看牙，医生说要拔掉右边的智齿。", "什么时候去看牙？"),
    ("女儿报名了周末的游泳班，教练姓陈。", "游泳教练姓什么？"),
    ("公司把年会改到了海口的喜来登酒店。", "年会在哪个酒店举行？"),
    ("父亲的血压药换成了氨氯地平，每天一片。", "父亲现在吃什么血压药？"),
    ("阳台漏水，周末去建材市场买了防水涂料。", "买防水涂料是为了什么？"),
    ("妻子生日想要一条蓝色的丝巾。", "妻子生日想要什么礼物？"),
    ("电工证今年十月到期，要提前参加复审。", "电工证哪个月到期？"),
    ("和建国约好春节后一起去文昌吃椰子鸡。", "和谁约好去吃椰子鸡？"),
    ("新手机的尾号是八八二六，旧号码停用了。", "新手机的尾号是多少？"),
    ("儿子的家长会安排在星期五晚上七点。", "家长会安排在星期几？"),
]
MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
at_any = st.fixed_dictionaries(dict.fromkeys(CUES, st.floats(0, 1)))


def row(n, terms, vector=None, session=None, at=None, speaker=None):
    when = n if at is None else at
    return IndexRow(n, session, speaker, None, "turn", when, " ".join(terms), tuple(terms), vector, ())


def corpus_of(rows):
    corpus = Corpus()
    corpus.add(rows)
    return corpus


def hits_first(snapshot, retriever, questions):
    return sum(snapshot.rank(retriever, q, 1)[0].key == key for key, q in enumerate(questions, 1))


@given(at_any)
@pytest.mark.parametrize("name", ["cubes", "cubes_words"])
def test_what_speaks_for_a_cube_never_counts_against_it(name, cues):
    weights = model(name).weights(cues)
    assert all(weight >= 0 for signal, weight in weights.items() if signal not in EITHER_WAY)


@given(at_any)
def test_the_experts_share_what_there_is(cues):
    for name in ("cubes", "cubes_words", "sessions", "sessions_words"):
        assert model(name).shares(cues).sum() == pytest.approx(1)


def test_where_the_gate_trusts_words_alone_the_ranking_is_that_of_bm25():
    rng = np.random.default_rng(0)
    rows = [row(n, rng.choice(list("abcdef"), 4), rng.normal(size=4)) for n in range(1, 40)]
    asked = Query(frozenset("ab"), ("a", "b"), rng.normal(size=4), None, False, False, False, False)
    told = read(corpus := corpus_of(rows), asked, corpus.alive)
    experts = np.array([[3.0, 0.0], [0.0, 5.0]])
    gate = np.array([[50.0, 0.0], [0.0, 0.0]])
    by = Model(("words", "cosine"), ("asks",), experts, gate).weights(told.cues)
    scores = fuse(told.signals, by)
    assert np.array_equal(
        np.argsort(-scores.round(6), kind="stable"), np.argsort(-(3 * told.signals["words"]).round(6), kind="stable")
    )


@pytest.mark.parametrize("seed", range(5))
def test_vectors_that_know_nothing_cost_nothing(seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(2, len(FACTS), 64))
    noise /= np.linalg.norm(noise, axis=2, keepdims=True)
    rows = [
        IndexRow(n, None, None, None, "turn", n, text, tuple(index_terms(text)), vector.astype(np.float16), ())
        for n, ((text, _), vector) in enumerate(zip(FACTS, noise[0], strict=True), 1)
    ]
    snapshot = Snapshot()
    snapshot.apply(Changes(1, rows, []))
    questions = [make_query(q, v, MOMENT) for (_, q), v in zip(FACTS, noise[1], strict=True)]
    assert hits_first(snapshot, Hybrid(), questions) >= hits_first(snapshot, Bm25(), questions) == len(FACTS)


@pytest.mark.parametrize("name", ["cubes", "cubes_words"])
@given(cues=at_any)
def test_what_was_fitted_for_small_spaces_counts_nothing_in_large_ones(name, cues):
    fitted = model(name)
    small = fitted.gate[:, 1 + fitted.cues.index("few")] > 0
    assert small.any()
    assert fitted.shares({**cues, "few": 32 / (32 + 1000)})[small].sum() < 0.05


def test_of_a_few_statements_the_answer_comes_first_more_often_than_by_a_part():
    told = [item for item in packaged("statements", bool)["hand_b"] if item["kind"] == "keep"]  # no fit has seen them
    texts = [t["text"] for item in told for t in item["told"]]
    vectors = iter(MiniLM().embed([*texts, *(item["question"] for item in told)]))
    spaces = []
    for item in told:
        rows = [
            row(n, index_terms(t["text"]), next(vectors).astype(np.float16), speaker=t["speaker"])
            for n, t in enumerate(item["told"], 1)
        ]
        snapshot = Snapshot()
        snapshot.apply(Changes(1, rows, []))
        spaces.append(snapshot)
    asked = [make_query(item["question"], next(vectors), MOMENT) for item in told]
    found = {
        type(method).__name__: sum(
            [hit.key for hit in space.rank(method, query, 1)] == [item["answer"] + 1]
            for space, query, item in zip(spaces, asked, told, strict=True)
        )
        for method in (Hybrid(), Bm25(), Cosine())
    }
    assert found["Hybrid"] >= max(found["Bm25"], found["Cosine"])
    assert found["Hybrid"] >= 0.9 * len(told)


def test_chinese_is_found_as_well_as_by_words_though_the_embedder_hardly_knows_it(tmp_path):
    with Mnemos(tmp_path) as memory:
        space = memory.space("zh")
        ids = [cube.id for cube in space.add_many([{"content": text} for text, _ in CHINESE])]
        found = {
            method: sum(
                space.search(q, 1, method=method)[0].cube.id == cube for (_, q), cube in zip(CHINESE, ids, strict=True)
            )
            for method in ("hybrid", "words", "vectors")
        }
    assert found["hybrid"] >= found["words"] >= 9 > found["vectors"]


def test_a_named_person_counts_the_more_the_rarer_he_is():
    rows = [row(n, ["work"], session=f"s{n // 4}", speaker=f"P{n % 16}") for n in range(64)]
    found = signals(corpus_of(rows), Query(frozenset({"p5"}), ("p5",), None, None, False, False, False, False))
    assert found["speaker"].tolist() == [4.0 if n % 16 == 5 else 0.0 for n in range(64)]
    assert found["took_part"].tolist() == [2.0 if n // 4 % 4 == 1 else 0.0 for n in range(64)]


def test_a_session_is_several_talks_where_it_pauses():
    rows = [
        row(1, ["a"], session="s", at=0),
        row(2, ["b"], session="s", at=1),
        row(3, ["c"], session="s", at=2 + PAUSE),
    ]
    layout = corpus_of(rows).layout()
    assert layout.talk.tolist() == [0, 0, 1]
    assert layout.session_sizes.tolist() == [3]
    assert layout.neighbours[1].tolist() == [1, -1, -1]


@given(st.lists(st.integers(0, 4 * DAY // NEAR).map(lambda i: i * NEAR // 2), min_size=1, max_size=12), st.data())
def test_neighbours_in_time_are_the_next_ones_within_half_a_day(at, data):
    at, values = np.array(at), np.arange(1, len(at) + 1, dtype=np.float32)
    originals = np.array(data.draw(st.lists(st.booleans(), min_size=len(at), max_size=len(at))))
    found = Moments(at, originals)
    order = sorted(np.flatnonzero(originals).tolist(), key=lambda i: (at[i], i))
    for i in range(len(at)):
        near = []
        if i in order:
            place = order.index(i)
            near = [
                values[j]
                for d, j in enumerate(order)
                if d != place and abs(d - place) <= REACH and abs(int(at[i]) - int(at[j])) < NEAR
            ]
        best, mean = found.near(values)
        assert best[i] == max(near, default=0)
        assert mean[i] == pytest.approx(sum(near) / REACH)
        same_day = [values[j] for j in order if at[j] // DAY == at[i] // DAY] if i in order else []
        assert found.best_of_day(values)[i] == max(same_day, default=0)


def test_every_cue_is_between_0_and_1_and_every_weight_is_of_a_signal():
    rows = [row(n, ["a", "b"], np.ones(3) * n, session="s") for n in range(1, 5)]
    asked = Query(frozenset("az"), ("a", "z"), np.ones(3), None, False, False, False, False)
    told = read(corpus := corpus_of(rows), asked, corpus.alive)
    assert set(told.cues) == set(CUES)
    assert all(0 <= value <= 1 for value in told.cues.values())
    assert set(model("cubes").signals) <= set(SIGNALS)


@pytest.mark.parametrize("embedder", ["hashing", "none"])
def test_a_text_asked_for_in_its_own_words_is_first(tmp_path, embedder):
    plants = ["tomatoes", "basil", "leeks", "carrots", "beans"]
    texts = [f"I planted {plant} in the garden and the soil was wet." for plant in plants]
    with Mnemos(tmp_path, embedder=embedder) as memory:
        space = memory.space("ana")
        space.add_many({"content": text, "session": "s", "speaker": "Ana"} for text in texts)
        for text in texts:
            first = space.search(text, 1)[0]
            assert first.cube.text == text
            assert first.why["same"] > 0
        asked = space.search("What did I plant in the wet soil of the garden?")
        assert all("same" not in hit.why for hit in asked)
