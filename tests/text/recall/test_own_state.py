"""Where one lives, works, whom one is with, asked in another language than English: the newest telling of it is first."""

from datetime import UTC, datetime, timedelta

import pytest

from mnemos import Mnemos
from mnemos.reason.state_words import asked_state
from mnemos.text.recall.own_state import state_of, tells

T0 = datetime(2024, 1, 1, tzinfo=UTC)
CHANGED = [  # question, the old statement, the new one: most have no word of the question
    ("Wo wohne ich?", "Ich wohne in Köln.", "Ich bin nach Kiel gezogen."),
    ("Was ist mein Beruf?", "Ich arbeite als Koch.", "Job gewechselt: ich arbeite jetzt bei der Bahn."),
    ("Wie lautet meine Handynummer?", "Meine Handynummer ist 0171 2223334.", "Neue Nummer: 0160 9988776."),
    ("Где я живу?", "Я живу в Самаре.", "Я переехала в Пермь."),
    ("Какое у меня домашнее животное?", "Мою собаку зовут Шарик.", "Шарик умер, мы взяли кота Барсика."),
    ("私はどこに住んでいますか？", "私は名古屋に住んでいます。", "先月、福岡に引っ越しました。"),
    ("誰と付き合っていますか？", "健太と付き合っています。", "健太とは別れて、今は翔と付き合っています。"),
    ("¿Como carne?", "Soy vegana.", "Vuelvo a comer carne."),
    ("Où est-ce que j'habite ?", "J'habite à Rennes.", "On s'est installés à Brest."),
    ("Che lavoro faccio?", "Faccio l'idraulico.", "Ho cambiato lavoro: faccio il postino."),
    ("Onde eu moro?", "Moro em Recife.", "Me mudei para Curitiba."),
    ("我住在哪里？", "我住在成都。", "我上个月搬到了厦门。"),
    ("Waar woon ik?", "Ik woon in Utrecht.", "We zijn naar Zwolle verhuisd."),
    ("Gdzie mieszkam?", "Mieszkam w Krakowie.", "Przeprowadziłam się do Gdyni."),
    ("Nerede yaşıyorum?", "Bursa'da yaşıyorum.", "Geçen ay Antalya'ya taşındım."),
    ("저는 어디에 살아요?", "저는 대구에 살아요.", "지난달에 부산으로 이사했어요."),
    ("أين أسكن؟", "أسكن في حلب.", "انتقلت إلى عمّان الشهر الماضي."),
    ("Var bor jag?", "Jag bor i Malmö.", "Jag har flyttat till Umeå."),
    ("मैं कहाँ रहता हूँ?", "मैं जयपुर में रहता हूँ।", "मैं पिछले महीने पुणे शिफ्ट हो गया।"),
]
NOT_OWN = [  # state, and what says nothing of its author's
    ("home", "Meine Schwester ist nach Kiel gezogen."),
    ("home", "Подруга переехала в Пермь."),
    ("home", "友達が福岡に引っ越しました。"),
    ("home", "大輔が仙台に引っ越しました。"),
    ("home", "Me gustaría vivir en Vigo."),
    ("home", "Da bambino abitavo a Genova."),
    ("home", "我姐姐搬到厦门了。"),
    ("home", "小王搬到珠海了。"),
    ("home", "O Pedro mudou-se para Niterói."),
    ("pet", "Der neue Hund der Nachbarn heißt Rex."),
    ("pet", "Я хотела бы завести кота."),
    ("job", "Kees werkt nu bij een bakkerij."),
    ("home", "Bist du nach Kiel gezogen?"),
    ("home", 'Tom schrieb: "Ich wohne jetzt in Kiel."'),
]
OTHER_QUESTIONS = [
    "Where do I live?",  # English is judged otherwise
    "Wo wohnt Rita?",
    "Wo habe ich 2019 gewohnt?",
    "Seit wann wohne ich hier?",
    "Wie lange wohne ich in Köln?",
    "健太はどこに住んでいますか？",
    "どこに住んでいましたか？",
    "小李住在哪里？",
    "我现在怎么上班？",
    "Где живёт Маша?",
    "Где я жила раньше?",
    "¿Dónde vive Ana?",
    "¿Cuándo me mudé?",
    "Welche Farbe hat mein Auto?",
]


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("states"), timezone="UTC") as memory:
        yield memory


@pytest.mark.parametrize("speaker", [None, "Kim"])
@pytest.mark.parametrize(("question", "old", "new"), CHANGED, ids=[f"{i}" for i in range(len(CHANGED))])
@pytest.mark.filterwarnings("ignore::mnemos.errors.UnknownLanguage")
def test_the_newest_telling_of_a_state_is_first(memory, question, old, new, speaker):
    space = memory.space(f"{CHANGED.index((question, old, new))}-{speaker}")
    for i, text in enumerate((old, "Es regnet. Il pleut. Piove.", new, "A long day at the fair.")):
        space.add(text, role="user", speaker=speaker, at=T0 + timedelta(days=30 * i))
    assert space.search(question, 1)[0].cube.text == new
    hits = space.search(question)
    assert sum(hits[0].why.values()) == pytest.approx(hits[0].score)


@pytest.mark.parametrize(("state", "text"), NOT_OWN)
def test_what_is_of_others_wished_past_asked_or_quoted_is_no_telling(state, text):
    assert not tells(state, text)


@pytest.mark.parametrize("question", OTHER_QUESTIONS)
def test_a_question_for_something_else_asks_for_no_state(question):
    assert state_of(question) is None


def test_a_telling_is_found_among_many_texts_without_a_word_of_the_question(memory):
    space = memory.space("many")
    space.add("Ich wohne in Köln.", role="user", at=T0)
    space.add_many(
        {
            "role": "user",
            "content": f"Die Wohnung Nummer {i} wohne ich nicht, sagte man.",
            "timestamp": T0.timestamp() + i,
        }
        for i in range(300)
    )
    space.add("Ich bin nach Kiel gezogen.", role="user", at=T0 + timedelta(days=90))
    assert space.search("Wo wohne ich?", 1)[0].cube.text == "Ich bin nach Kiel gezogen."


def test_nobody_else_tells_where_the_asker_lives(memory):
    space = memory.space("voices")
    space.add("Ich wohne in Köln.", role="user", speaker="Ana", at=T0)
    space.add("Ich wohne jetzt in Kiel.", role="user", speaker="Bo", at=T0 + timedelta(days=30))
    space.add("Ich wohne jetzt in Rom.", role="assistant", at=T0 + timedelta(days=60))
    space.add("Ich wohne jetzt in Bonn.", source="https://a.example", at=T0 + timedelta(days=60))
    assert space.search("Wo wohne ich?", 1, speaker="Ana")[0].cube.text == "Ich wohne in Köln."
    assert space.search("Wo wohne ich?", 1)[0].cube.text in ("Ich wohne in Köln.", "Ich wohne jetzt in Kiel.")


def test_a_first_person_of_the_verb_is_enough():
    assert asked_state("¿Dónde vivo?", own=False) == "home"
    assert asked_state("¿Dónde vive?", own=False) is None
