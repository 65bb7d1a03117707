"""A phrase occurs where it is written as words of its own, in any script, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.errors import InvalidInput
from mnemos.index.folding import fold
from mnemos.index.phrase import Phrase

# phrase, texts that have it, texts that do not
CASES = [
    ("Yıldız", ["YILDIZ geldi", "yıldız", "Yıldız'ın evi", "Yıldız'la"], ["Yildiz", "Yıldızlar"]),
    ("CAN YILMAZ", ["Can Yılmaz aradı"], ["Canan Yılmaz"]),
    ("Can", ["Can geldi.", "Can'ın", "Can’a"], ["I can't come", "Canan", "scan"]),
    ("Don", ["Don called.", "Don's hat", "DON"], ["I don't know", "donate"]),
    ("Xi", ["Xi came"], ["Xi'an is far"]),
    ("Brien", ["Brien is my nephew"], ["Pat O'Brien"]),
    ("O'Brien", ["Pat O’Brien runs.", "O'BRIEN's"], ["Brien"]),
    ("Anna", ["J'ai vu l'Anna", "dell'Anna", "d'Anna"], ["Sant'Anna", "Joanna"]),
    ("Angelo", ["Angelo", "d'Angelo"], ["D'Angelo sings"]),
    (
        "Anne",
        ["Anne", "Anne's", "(Anne)", '"Anne"', "Anne, Marie", "Anne— well"],
        ["Anne-Marie", "Marie-Anne", "Anne‑Marie", "Annette"],
    ),
    ("Tanaka", ["Tanaka-san came", "Tanaka"], ["Tanaka-Smith", "Tanakas"]),
    ("1.5", ["1.5", "1.5.", "(1.5)", "1.5, 2"], ["21.5", "1.55", "1.5.2", "11.5", "$1.5", "1.5%"]),
    ("7", ["7", "at 7.", "room 7,", "#7"], ["7:30", "17", "7.5", "$7", "7%", "-7", "7-8", "3/7", "7th", "7h"]),
    ("912", ["912 345", "912"], ["9123", "1912", "912,5", "+912"]),
    (
        "$1,200",
        ["$1,200", "($1,200)", "$1,200, $5", "价格是$1,200元"],
        ["$1,200.50", "$11,200", "$1", "US$1,200", "1,200"],
    ),
    ("C", ["C", "Key of C.", "C, D", "我学C"], ["C++", "C#", "C++17", "C-4", "vitamin C3"]),
    ("vitamin C", ["Vitamin C helps"], ["vitamin C++"]),
    (
        "C++",
        ["C++", "C++, Java", "(C++)", "C++를 배워요", "学C++了", "Ｃ＋＋"],
        ["C", "C+", "C#", "C++17", "CC++", "VC++"],
    ),
    ("C#", ["C#", "C#,", "F#, C#."], ["C", "C##", "C#7", "AC#"]),
    (".NET", ["a .NET course", ".Net"], ["ASP.NET", "net", "the net.", ".NETs", "Internet"]),
    ("net", ["the net.", "net"], ["a .NET course", "internet", "net-zero"]),
    ("R", ["written in R.", "R, Python"], ["R&D", "R$ 50", "Ruby", "R2", "R-4"]),
    ("AT&T", ["AT&T sent"], ["AT", "AT&TX", "at & t"]),
    ("AT", ["at home"], ["AT&T"]),
    (
        "jo@acme.com",
        ["mail jo@acme.com.", "<jo@acme.com>", "jo@acme.com으로 보내", "mailto:jo@acme.com"],
        [
            "billiejo@acme.com",
            "jo@acme.com.au",
            "x.jo@acme.com",
            "x-jo@acme.com",
            "jo@acme.co",
            "jo+x@acme.com",
            "jo@acme.common",
        ],
    ),
    ("jo", ["Jo came"], ["jo@acme.com"]),
    (
        "acme.com",
        ["see acme.com.", "https://www.acme.com/", "www.acme.com"],
        ["jo@acme.com", "acme.com/jobs", "acme.com.br", "notacme.com"],
    ),
    (
        "https://x.example/docs",
        [
            "https://x.example/docs",
            "https://x.example/docs.",
            "(https://x.example/docs)",
            "https://x.example/docs/",
            "请看https://x.example/docs。",
        ],
        ["https://x.example/docs/v2", "https://x.example/docs?x=1", "https://x.example/docs2", "http://x.example/docs"],
    ),
    ("UTC+2", ["in UTC+2 now"], ["UTC-2", "UTC+20", "UTC+2:30", "UTC"]),
    ("UTC", ["UTC time"], ["UTC+2", "UTC-2"]),
    (
        "서울",
        ["서울에서", "서울은", "서울의", "서울까지는", "서울로", "서울이에요", "서울입니다", "서울,", "서울이"],
        ["서울대학교", "서울역", "새서울"],
    ),
    ("부산", ["부산으로", "부산에서도", "부산이었어요"], ["부산물", "부산로"]),
    ("미나", ["미나는", "미나가", "미나예요", "미나랑", "미나야", "미나한테"], ["미나리", "미나은", "유미나"]),
    ("고양", ["고양에서", "고양시 아님 고양은"], ["고양이가", "고양이를", "고양이는"]),
    ("지도", ["지도를 봤다"], ["지도자"]),
    (
        "Rita",
        [
            "Rita™",
            "Rita¹",
            "RITA",
            "@Rita",
            "#Rita",
            "Rita/Tom",
            "Rita.",
            "**Rita**",
            "Ri\u200bta",
            "Ri\xadta",
            "Ｒｉｔａ",
            "Rita’s",
            "pizza🍕Rita🍕",
        ],
        ["Margarita", "Ritalin", "Ríta", "rita_1", "rita@x.com"],
    ),
    ("Acme", ["Acme™", "Acme®", "ACME, Inc."], ["Acmeville"]),
    ("🍕", ["🍕", "pizza🍕time", "🍕🍔"], ["🍔"]),
    ("👩", ["👩 hi"], ["👩\u200d🍳 cooks"]),
    ("❤️", ["I ❤ you", "I ❤️ you"], ["💔"]),
    ("m2", ["m²", "m2"], ["m20", "am2"]),
    ("Will", ["Will came", "will", "Will's", "Will'll"], ["Willow", "goodwill", "Will-o"]),
    (
        "Jane Doe",
        ["Jane\xa0Doe", "jane   doe", "Jane\nDoe's", "JANE DOE!"],
        ["Jane Doering", "Jane D. Doe", "Doe, Jane", "Jane-Doe", "Jane. Doe"],
    ),
    ("東京", ["東京に行く", "東京の", "東京は"], []),
    ("行", [], ["京都に行った", "旅行した"]),
    ("ひろ", ["ひろは元気"], ["ひろしは元気", "ひろみが来た"]),
    ("トヨタ", ["トヨタの車", "トヨタは"], ["トヨタレンタカー", "トヨター"]),
    ("ジョン", ["ジョン・スミス", "ジョンは"], ["ジョンソン"]),
    ("鈴木一", ["鈴木一さん"], ["鈴木一郎さん"]),
    (
        "王伟",
        ["王伟来了", "王伟病了", "王伟和李娜", "王伟明天来", "我见到王伟。", "王伟教书", "王伟的"],
        ["王伟明是老师", "王伟强来了"],
    ),
    ("南京", ["我在南京读大学", "南京很热", "去南京西路"], ["江南京剧团演出"]),
    ("上海", ["上海关闭了机场", "在上海"], ["海上", "爱上海鲜"]),
    ("和服", ["和服好看"], ["产品和服务"]),
    ("中山", ["从中山来", "中山很小"], ["孙中山"]),
    ("תל אביב", ["תל אביב יפה", "תל אביב, שם"], ["בתל אביב"]),
    ("דן", ["דן בא", "דן, רון"], ["ודן בא", "לדן", "דנה", "בן־דן"]),
    ("محمد", ["محمد جاء", "محمد، حسن"], ["ومحمد", "محمدي", "مُحَمَّد"]),
    ("Ελένη", ["ΕΛΈΝΗ", "η Ελένη."], ["Ελένης"]),
    ("Москва", ["МОСКВА", "Москва — город", "г. Москва"], ["Москве", "Москва-река", "подмосковье"]),
    ("नई दिल्ली", ["नई दिल्ली में", "नई दिल्ली।"], ["नई दिल्लीवाला"]),
    ("กา", ["มีกาตัวหนึ่ง", "กา"], ["กาแฟ", "นาฬิกา"]),
    ("สุดา", ["สุดาไปตลาด", "ฉันชอบสุดา"], ["สุดารัตน์มา", "วิสุดา"]),
    ("F-150", ["the F-150.", "F‑150"], ["F-1500", "XF-150", "F-150-X"]),
    ("2024-03-01", ["2024-03-01", "on 2024-03-01."], ["2024-03-011", "12024-03-01", "2024-03-01-2"]),
    ("2024", ["in 2024", "2024's best"], ["2024-03-01", "20244"]),
    (
        "14 Mill Lane",
        ["14 Mill Lane, Bath", "14 mill lane"],
        ["114 Mill Lane", "14 Mill Lanes", "4-14 Mill Lane", "14 Mill Lane-East"],
    ),
    ("St.", ["Main St.", "St. John"], ["St", "Stop."]),
    ("Q.E.D.", ["Q.E.D.", "(Q.E.D.)"], ["QED", "Q.E.D"]),
    ("Node.js", ["Node.js rocks", "node.js,", "Node.js."], ["Node", "Node.jsx"]),
    ("Node", ["Node here"], ["Node.js"]),
    ("Strasse", ["Straße", "STRASSE"], ["Straßen"]),
    ("fluſs", ["fluss", "FLUSS"], ["flussig"]),
    ("Zoë", ["ZOË", "Zoë"], ["Zoe"]),
    ("Анна-Мария", ["Анна-Мария"], ["Анна Мария", "Анна-Мариям"]),
    ("Ёлка", ["ёлка", "ЁЛКА"], ["Елка"]),
    ("ТАСС", ["ТАСС."], ["ТАССа"]),
    ("Kim", ["Kim", "Kim's"], ["Kimberly", "Kim-Lee"]),
    ("N° 5", ["N° 5", "N° 5,"], ["N° 55"]),
    ("50%", ["50% off", "(50%)"], ["150%", "50"]),
    ("50", ["50", "50 %"], ["50%", "50€", "€50", "5.50", "50th"]),
    ("@jane", ["ask @jane.", "@jane, hi"], ["bob@jane.com", "jane", "@janet"]),
    ("#go", ["#go", "#go, x"], ["go", "#golang"]),
]


@pytest.mark.parametrize(("phrase", "having", "others"), CASES, ids=[case[0] for case in CASES])
def test_a_phrase_is_found_as_whole_words_and_never_inside_longer_ones(phrase, having, others):
    wanted = Phrase(phrase)
    assert [text for text in having if not wanted.occurs(text)] == []
    assert [text for text in others if wanted.occurs(text)] == []


@pytest.mark.parametrize("phrase", ["", " ", "?!", "\u200b", "...", "\u00ad-", "()"])
def test_punctuation_alone_is_no_phrase(phrase):
    with pytest.raises(InvalidInput, match="no letter, digit or emoji"):
        Phrase(phrase)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(TEXTS, TEXTS)
def test_a_phrase_occurs_in_itself_and_only_where_its_letters_are(a, b):
    if not any(c.isalnum() for c in fold(a)):
        return
    phrase = Phrase(a)
    assert phrase.occurs(a)
    assert phrase.within(a)
    if phrase.occurs(b):
        assert fold(a) in fold(b) or fold(a, turkic=True) in fold(b, turkic=True)


@given(TEXTS)
def test_folding_is_idempotent(text):
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"), ("\u0130stanbul", "istanbul"), ("ΠΈΤΡΟΣ", "Πέτρος"), ("ﬁn", "FIN"), ("ﾊﾟﾝ", "パン"),
        ("Zoe\u0308", "ZOË"), ("a \u00a0\n b", "a b"), ("O’Brien", "o'brien"), ("Ja\u00adne", "jane"),
    ],
)  # fmt: skip
def test_what_readers_take_for_the_same_writing_folds_alike(one, other):
    assert fold(one) == fold(other)
    assert Phrase(one).occurs(other)
    assert Phrase(other).occurs(one)
