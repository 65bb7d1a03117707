"""Relative dates in other languages than English."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.reason import elsewhere
from mnemos.reason.dates import find_dates, query_range

WEDNESDAY = datetime(2024, 5, 15, 10, tzinfo=UTC)
LAST_FRIDAY, NEXT_MONDAY = date(2024, 5, 10), date(2024, 5, 20)
LAST_WEEK, NEXT_WEEK = date(2024, 5, 6), date(2024, 5, 20)
THREE_DAYS_AGO, YESTERDAY, TOMORROW = date(2024, 5, 12), date(2024, 5, 14), date(2024, 5, 16)


def starts(text):
    return [mention.start.date() for mention in find_dates(text, WEDNESDAY)]


@pytest.mark.parametrize(
    "text",
    [
        "El viernes pasado fui al médico.", "Vendredi dernier je suis allé au cinéma.", "Letzten Freitag war ich im Kino.",
        "Venerdì scorso ho visto Anna.", "Lo scorso venerdì ho visto Anna.", "Na sexta-feira passada fui ao médico.",
        "Na última sexta fui ao médico.", "Afgelopen vrijdag was ik daar.", "I förra fredagen? Nej, förra fredag!",
        "Sidste fredag var jeg i byen.", "W zeszły piątek byłem w kinie.", "Minulý pátek jsem byl v kině.",
        "В прошлую пятницу я ходил в кино.", "Минулої п'ятниці я ходив у кіно.", "Geçen cuma sinemaya gittim.",
        "Viime perjantaina olin töissä.", "Múlt pénteken moziban voltam.", "Vinerea? Da, vineri trecută.",
        "Divendres passat vaig anar al metge.", "Jumat lalu saya pergi.", "先週の金曜日に映画を見た。", "上周五我去看电影了。",
        "上個星期五我去看電影了。", "지난 금요일에 영화를 봤다.", "지난주 금요일에 영화를 봤다.",
        "يوم الجمعة الماضي ذهبت إلى السينما",
        "पिछले शुक्रवार मैं गया था", "Την περασμένη Παρασκευή πήγα σινεμά.",
    ],
)  # fmt: skip
def test_the_last_friday(text):
    assert starts(text) == [LAST_FRIDAY]


@pytest.mark.parametrize(
    "text",
    [
        "El próximo lunes tengo cita.", "El lunes que viene tengo cita.", "Lundi prochain j'ai un rendez-vous.",
        "Nächsten Montag habe ich einen Termin.", "Kommenden Montag habe ich frei.", "Lunedì prossimo parto.",
        "Na próxima segunda-feira tenho consulta.", "Volgende maandag ga ik.", "W przyszły poniedziałek wyjeżdżam.",
        "В следующий понедельник я уезжаю.", "Önümüzdeki pazartesi gidiyorum.", "来週の月曜日に出発する。", "下周一出发。",
        "다음 주 월요일에 떠난다.",
    ],
)  # fmt: skip
def test_the_next_monday(text):
    assert starts(text) == [NEXT_MONDAY]


@pytest.mark.parametrize(
    "text",
    [
        "hace tres días", "hace 3 dias", "il y a trois jours", "vor drei Tagen", "vor 3 Tagen", "tre giorni fa", "há três dias",
        "drie dagen geleden", "för tre dagar sedan", "for tre dage siden", "trzy dni temu", "три дня назад", "3 дні тому",
        "üç gün önce", "3 päivää sitten", "三日前", "3日前", "三天前", "3일 전", "fa 3 dies", "3 hari lalu", "3 ngày trước",
    ],
)  # fmt: skip
def test_three_days_ago(text):
    assert starts(text) == [THREE_DAYS_AGO]


@pytest.mark.parametrize(
    ("text", "start", "unit"),
    [
        ("La semana pasada fui a Lisboa.", LAST_WEEK, "week"), ("La semaine prochaine, je pars.", NEXT_WEEK, "week"),
        ("La semaine dernière, j’étais à Lyon.", LAST_WEEK, "week"), ("Letzte Woche war ich krank.", LAST_WEEK, "week"),
        ("Nächste Woche fahre ich weg.", NEXT_WEEK, "week"), ("La settimana scorsa ero a Roma.", LAST_WEEK, "week"),
        ("A semana passada fui a Lisboa.", LAST_WEEK, "week"), ("Na semana que vem viajo.", NEXT_WEEK, "week"),
        ("Vorige week was ik ziek.", LAST_WEEK, "week"), ("На прошлой неделе я болел.", LAST_WEEK, "week"),
        ("W zeszłym tygodniu chorowałem.", LAST_WEEK, "week"), ("Geçen hafta hastaydım.", LAST_WEEK, "week"),
        ("先週は病気だった。", LAST_WEEK, "week"), ("上个星期我病了。", LAST_WEEK, "week"),
        ("지난주에 아팠다.", LAST_WEEK, "week"),
        ("Le mois dernier, j'ai déménagé.", date(2024, 4, 1), "month"),
        ("El mes que viene me mudo.", date(2024, 6, 1), "month"),
        ("Letztes Jahr war ich in Rom.", date(2023, 1, 1), "year"),
        ("L'année dernière, j'ai déménagé.", date(2023, 1, 1), "year"),
        ("El año pasado me mudé.", date(2023, 1, 1), "year"), ("В прошлом году я переехал.", date(2023, 1, 1), "year"),
        ("il y a deux semaines", date(2024, 4, 28), "week"), ("vor zwei Monaten", date(2024, 3, 1), "month"),
        ("hace dos años", date(2022, 1, 1), "year"), ("5 лет назад", date(2019, 1, 1), "year"),
        ("Hier, j'ai vu Paul.", YESTERDAY, "day"), ("Je l'ai vu hier.", YESTERDAY, "day"),
        ("Mañana viajo a Lima.", TOMORROW, "day"),
        ("Ich fahre morgen nach Rom.", TOMORROW, "day"), ("Wczoraj byłem w kinie.", YESTERDAY, "day"),
        ("Вчера я был в кино.", YESTERDAY, "day"), ("Dün sinemaya gittim.", YESTERDAY, "day"),
        ("I går var jag på bio.", YESTERDAY, "day"), ("昨日、映画を見た。", YESTERDAY, "day"),
        ("어제 영화를 봤다.", YESTERDAY, "day"),
    ],
)  # fmt: skip
def test_units(text, start, unit):
    (mention,) = find_dates(text, WEDNESDAY)
    assert (mention.start.date(), mention.granularity, mention.relative) == (start, unit, True)
    assert mention.phrase == text[mention.span_start : mention.span_end]


@pytest.mark.parametrize(
    "text",
    [
        "El martes fui al cine.", "Am Samstag war ich beim Arzt.",  # no tense is known: it may be the last or the coming one
        "Trabajo por la mañana.", "Esta mañana llovió mucho.", "Guten Morgen!", "Er arbeitet jeden Morgen.", "Ich bin hier.",
        "Jana said that homme means man.", "We walked along the Ahir river; Maine, more or less.", "Lani flew to Bihar.",
        "La última semana del curso.", "Ich habe es geschafft, als ich 3 Tage frei hatte.", "5月3日前", "三天后再说",
        "Lo terminé en tres días.",
    ],
)  # fmt: skip
def test_what_is_not_sure_names_no_date(text):
    relative = [mention for mention in find_dates(text, WEDNESDAY) if mention.relative]
    assert [m.phrase for m in relative if m.phrase not in ("5月3日",)] == []


def test_a_question_is_restricted_to_what_it_names():
    start, end = query_range("¿Qué hice la semana pasada?", WEDNESDAY)
    assert (start.date(), end.date()) == (LAST_WEEK, date(2024, 5, 13))


WORDS = st.sampled_from(
    sorted(elsewhere._words()) + ["3", "la", "vor", "’", "\n", "前", "先週", "금요일", "la semana pasada"]
)


@given(st.lists(WORDS, max_size=30).map(" ".join))
def test_any_words_give_dates_in_order_and_as_they_are_written(text):
    found = find_dates(text, WEDNESDAY)
    assert all(m.phrase == text[m.span_start : m.span_end] and m.start < m.end for m in found)
    assert all(a.span_end <= b.span_start for a, b in zip(found, found[1:], strict=False))
