"""Words alone find what was said in other languages: inflected, vocalised, compounded, or written without spaces."""

from datetime import UTC, datetime

import pytest

from mnemos import Mnemos
from mnemos.index.lexical import LexicalIndex
from mnemos.text.recall import query as module
from mnemos.text.recall.query import READ, WORDS, bounded, make_query

NOW = datetime(2024, 1, 1, tzinfo=UTC)
FOUND = {  # language: (memory, question with another form or spelling of its word)
    "German": [
        ("Ich habe eine Krankenversicherung abgeschlossen.", "Welche Versicherung habe ich?"),
        ("Meine Versicherung ist teuer.", "Was kostet die Krankenversicherung?"),
        ("Die Bücher stehen in der Küche.", "Wo ist das Buch?"),
        ("Ana wohnt in der Goethestraße.", "Wer wohnt in der GOETHESTRASSE?"),
        ("Herr Müller ist mein Nachbar.", "Mueller"),
        ("Wir feiern den Kindergeburtstag im Park.", "Geburtstag"),
    ],
    "Dutch": [
        ("Ik heb een ziektekostenverzekering nodig.", "verzekering"),
        ("De boeken liggen in de keuken.", "Waar is het boek?"),
    ],
    "Swedish": [
        ("Jag köpte en barnvagn till henne.", "Var är vagnen?"),
        ("Böckerna ligger i köket.", "Vad finns i ett kök?"),
    ],
    "Norwegian": [("Jeg kjøpte en barnevogn til henne.", "vogn"), ("Hundene mine er i hagen.", "Hvor er hunden?")],
    "Danish": [("Jeg har en sygeforsikring.", "forsikringen"), ("Hundene er i haven.", "Hvor er hunden?")],
    "Finnish": [("Minä asun talossa ja hän asuu siellä.", "Missä minun taloni on?")],
    "French": [("Mes sœurs habitent à Lyon.", "Où habite ma sœur ?"), ("Nous avons mangé des crêpes.", "crepe")],
    "Spanish": [
        ("Mis hermanas viven en Sevilla.", "¿Dónde vive mi hermana?"),
        ("El corazón de María.", "maria corazon"),
    ],
    "Portuguese": [
        ("As minhas irmãs moram em São Paulo.", "Onde moram minhas irmas?"),
        ("Ela nasceu em São Paulo.", "sao paulo"),
    ],
    "Italian": [("Le mie sorelle abitano a Roma.", "Dove abita mia sorella?"), ("Ho comprato due libri.", "il libro")],
    "Romanian": [("Fratele meu este la spital.", "Unde este spitalul?"), ("Locuiesc în București.", "Bucureşti")],
    "Polish": [
        ("Mieszkam w Warszawie z siostrą.", "Gdzie jest siostra?"),
        ("Kupiłem dwa rowery.", "Gdzie jest rower?"),
    ],
    "Czech": [("Bydlím v Praze se sestrou.", "Kde je sestra?")],
    "Hungarian": [("A könyvek a házban vannak.", "Hol van a könyv?")],
    "Turkish": [
        ("Kitaplarım evde duruyor.", "Kitap nerede?"),
        ("İstanbul'da yaşıyorum.", "istanbul"),
        ("ISPARTA'ya taşındık.", "Isparta"),
        ("Isparta çok güzel.", "ısparta"),
        ("Annemin evi Ankara'da.", "ANKARA"),
    ],
    "Indonesian": [("Saya membeli makanan untuk kucing.", "Di mana makan kucing?")],
    "Russian": [
        ("Я живу в красивой квартире.", "Какая у меня квартира?"),
        ("Моя ёлка стоит дома.", "елка"),
        ("Но́вый за́мок закрыт.", "замок"),
    ],
    "Ukrainian": [("Я купив велику книжку.", "Де моя книжка?")],
    "Bulgarian": [("Книгите са на масата.", "Къде е книгата?")],
    "Greek": [("Μένω στην Αθήνα με την αδελφή μου.", "ΑΘΗΝΑ"), ("Τα βιβλία είναι εδώ.", "Πού είναι το βιβλίο;")],
    "Arabic": [
        ("كَتَبْتُ الرِّسَالَةَ فِي الْمَدْرَسَةِ", "مدرسة"),
        ("ذهبت إلى المدرسة", "مَدْرَسَة"),
        ("أحمد يسكن في القاهرة", "احمد"),
        ("سافرت إلى القاهره", "القاهرة"),
        ("محـــمد صديقي", "محمد"),
        ("اشتريت الكتب أمس", "كتب"),
    ],
    "Persian": [("من کتاب‌ها را خریدم", "كتاب"), ("او در تهران زندگی می‌کند", "زندگي")],
    "Urdu": [("میں لاہور میں رہتا ہوں", "لاہور")],
    "Hebrew": [
        ("שָׁלוֹם לְדָוִד", "שלום"),
        ("אני גר בירושלים", "יְרוּשָׁלַיִם"),
        ("קניתי ספרים בחנות", "החנות"),
        ("הספרים על השולחן", "שולחן"),
    ],
    "Yiddish": [("דער הונט איז אין דער היים", "הונט")],
    "Hindi": [("मैंने दो किताबें ख़रीदीं।", "किताब कहाँ है?"), ("मेरा घर हिन्दी नगर में है", "हिंदी"), ("ज़िन्दगी अच्छी है", "जिंदगी")],
    "Marathi": [("मी पुस्तकांची यादी केली आहे", "पुस्तक")],
    "Nepali": [("मेरो घर काठमाडौंमा छ", "काठमाडौं")],
    "Tamil": [("நான் வீட்டில் இருக்கிறேன்", "வீடு எங்கே? வீட்டில்"), ("புத்தகங்கள் மேசையில் உள்ளன", "புத்தகம்")],
    "Bengali": [("আমার বাড়ি ঢাকায়।", "ঢাকা"), ("আমি বইগুলো কিনেছি", "বইগুলি")],
    "Telugu": [("నేను హైదరాబాదులో ఉంటాను", "హైదరాబాదు")],
    "Malayalam": [("ഞാൻ കൊച്ചിയിലാണ് താമസിക്കുന്നത്", "താമസിക്കുന്നു")],
    "Thai": [
        ("ฉันรักภาษาไทยมาก", "ภาษา"),
        ("เมื่อวานไปกินข้าวที่ร้านอาหารใหม่", "ร้านอาหาร"),
        ("ผมชื่อสมชายอยู่เชียงใหม่", "เชียงใหม่"),
        ("ฉันดื่มน้ำเย็น", "น้ำ"),
    ],
    "Lao": [("ຂ້ອຍຮຽນພາສາລາວຢູ່ວຽງຈັນ", "ພາສາລາວ"), ("ຂ້ອຍຮຽນພາສາລາວ", "ພາສາ")],
    "Khmer": [("ខ្ញុំរៀនភាសាខ្មែរនៅភ្នំពេញ", "ភាសា"), ("ខ្ញុំរៀនភាសាខ្មែរ", "ខ្មែរ")],
    "Burmese": [("ကျွန်တော် မြန်မာစကား ပြောတယ်", "မြန်မာ")],
    "Chinese": [("昨天我在北京吃饭", "北京"), ("我的手机号码是２０２４", "2024")],
    "Japanese": [("東京に住んでいます", "東京"), ("ｶﾞﾗｽを買った", "ガラス")],
    "Korean": [("나는 서울에서 왔다", "서울")],
    "Javanese": [("ꦲꦏꦸꦱꦶꦤꦲꦸꦧꦱꦗꦮ", "ꦧꦱ")],
    "numbers": [("मेरा जन्म २०१२ में हुआ", "2012"), ("وُلدت عام ١٩٩٠", "1990")],
}
NAMES = [f"{name} {i}" for name, pairs in FOUND.items() for i in range(len(pairs))]
APART = [  # what must not meet
    ("Ich fahre mit dem Bus.", "Busch"),
    ("कमल खिला है", "कि"),
    ("Le café est chaud.", "la cafetière"),
    ("й это буква", "и"),
    ("Tôi thích bơ", "bò"),
    ("Ana hat einen Kater.", "Ate"),
    ("ฉันรักแมว", "หมา"),
    ("She read the carpet label.", "car"),
]


def found(space, question):
    return [hit.cube.id for hit in space.search(question, 1, method="words") if hit.score > 0]


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    with Mnemos(tmp_path_factory.mktemp("languages"), embedder="none") as memory:
        space = memory.space("all")
        rows = [(f"{name} {i}", text) for name, pairs in FOUND.items() for i, (text, _) in enumerate(pairs)]
        space.add_many([{"content": text, "id": key} for key, text in rows], reconcile=False)
        yield space


@pytest.mark.parametrize(("text", "question"), [pair for pairs in FOUND.values() for pair in pairs], ids=NAMES)
def test_a_word_is_found_in_another_form_or_spelling(tmp_path, text, question):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("one")
        space.add("The boiler was serviced on 3 May.", reconcile=False)
        space.add(text, id="it", reconcile=False)
        assert found(space, question) == ["it"]


def test_words_of_all_languages_together_find_their_own(space):
    missed = []
    for name, pairs in FOUND.items():
        for i, (_, question) in enumerate(pairs):
            hits = [hit.cube.id for hit in space.search(question, 3, method="words") if hit.score > 0]
            if f"{name} {i}" not in hits:
                missed.append((name, question, hits))
    assert len(missed) <= 2, missed


@pytest.mark.parametrize(("text", "question"), APART)
def test_different_words_do_not_meet(tmp_path, text, question):
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("one")
        space.add(text, id="it", reconcile=False)
        assert found(space, question) == []


def test_a_word_of_the_text_itself_always_finds_it(space):
    from mnemos.index.terms import words_of

    for pairs in FOUND.values():
        for text, _ in pairs:
            assert all(found(space, word) for word in words_of(text)), text


# -- bounds of a question


def test_the_work_of_a_long_question_is_bounded(tmp_path, monkeypatch):
    looked_up = []
    posting = LexicalIndex.posting
    monkeypatch.setattr(
        LexicalIndex, "posting", lambda self, word, *more: looked_up.append(word) or posting(self, word, *more)
    )
    read = []
    words_of = module.words_of
    monkeypatch.setattr(module, "words_of", lambda text: read.append(len(text)) or words_of(text))
    with Mnemos(tmp_path, embedder="none") as memory:
        space = memory.space("ana")
        space.add("alpha", id="first")
        space.add("omega", id="last")
        question = " ".join(["alpha", *(f"w{i}" for i in range(20_000)), "omega"])
        for ask in (space.search, space.search_sessions, space.context):
            looked_up.clear(), read.clear()
            ask(question)
            assert len(looked_up) <= WORDS
            assert sum(read) <= 4 * READ
        assert {h.cube.id for h in space.search(question)[:2]} == {"first", "last"}, "both ends are read"


@pytest.mark.parametrize("length", [0, 1, READ - 1, READ, READ + 1, 3 * READ])
def test_a_question_is_read_whole_up_to_the_bound(length):
    text = "".join(chr(97 + i % 26) for i in range(length))
    cut = bounded(text)
    assert len(cut) <= READ
    assert cut == text if length <= READ else (cut[:4_000], cut[-3_999:]) == (text[:4_000], text[-3_999:])
    assert bounded(cut) == cut


def test_of_many_words_the_first_and_the_last_count():
    said = make_query(" ".join(f"w{i}" for i in range(1_000)), None, NOW).content
    assert said == tuple(f"w{i}" for i in [*range(WORDS // 2), *range(1_000 - WORDS // 2, 1_000)])
