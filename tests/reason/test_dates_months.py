"""Dates with a month of another language, and dates in digits with dots."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.reason.dates import find_dates, query_range
from mnemos.reason.months import NEAR

JUNE = datetime(2024, 6, 1, 10, tzinfo=UTC)
SIXTH = date(2024, 5, 6)


def starts(text, anchor=JUNE):
    return [mention.start.date() for mention in find_dates(text, anchor)]


@pytest.mark.parametrize(
    "text",
    [
        "Am 6. Mai 2024 war ich in Bonn.", "Am 6.5.2024 war ich in Bonn.", "Am 06.05.2024 fing es an.", "le 6 mai 2024",
        "El 6 de mayo de 2024 nos vimos.", "Il 6 maggio 2024 ero a Roma.", "No dia 6 de maio de 2024 fui ao médico.",
        "Op 6 mei 2024 was ik daar.", "Den 6 maj 2024 var jag där.", "Den 6. maj 2024 var jeg i byen.", "Dnia 6 maja 2024 r.",
        "6. května 2024 jsem byl doma.", "2024. május 6-án moziban voltam.", "6 мая 2024 года я был дома", "6 травня 2024",
        "6 Mayıs 2024 günü evdeydim.", "Στις 6 Μαΐου 2024 ήμουν σπίτι.", "6. toukokuuta 2024 olin kotona.", "6 mai 2024",
        "الاجتماع في ٦ مايو ٢٠٢٤", "6 मई 2024 को", "Ngày 6 tháng 5 năm 2024 tôi ở nhà.", "6 Mei 2024 saya di rumah.",
        "2024년 5월 6일에 만났다", "2024年5月6日に会った",
    ],
)  # fmt: skip
def test_a_day_with_its_year(text):
    assert starts(text) == [SIXTH]


@pytest.mark.parametrize(
    "text",
    [
        "Am 6. Mai war ich in Bonn.", "Am 6.5. war ich in Bonn.", "Le 6 mai j'étais à Lyon.", "El 6 de mayo estuve en casa.",
        "Il 6 maggio ero a Roma.", "No dia 6 de maio fui ao médico.", "6 мая я был дома", "6 maja byłem w domu.",
        "6 Mayıs'ta evdeydim.", "6 मई को घर पर था", "Ngày 6 tháng 5 tôi ở nhà.", "5월 6일에 집에 있었다",
    ],
)  # fmt: skip
def test_without_a_year_it_is_the_nearest(text):
    assert starts(text) == [SIXTH]


def test_a_day_far_from_the_message_stays_unread_without_a_year():
    assert starts("Am 6. Mai war ich in Bonn.", datetime(2024, 11, 30, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    "text",
    ["Im Mai 2024 zog ich um.", "en mayo de 2024", "в мае 2024 года", "w maju 2024", "em maio de 2024", "mai 2024"],
)
def test_a_month_is_the_whole_of_it(text):
    assert query_range(text, JUNE) == (datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize("text", ["am 6. April 2024", "den 6. april 2024", "6 de abril de 2024", "6 avril 2024"])
def test_names_that_are_english_too(text):
    assert starts(text) == [date(2024, 4, 6)]


@pytest.mark.parametrize(
    "text",
    [
        "See 10.6.5.2024 and 6.5.2024-rc1.", "He read chapter 6. April came late.", "Two of the 4 Mars bars are left.",
        "The Mars 2020 mission landed.", "Mars has 2 moons", "On 31. Juni 2024", "6. Maigret 2024", "The 7 set 12 items aside",
        "We bought 2 rugs.", "De club heeft 12 leden.", "My Mac 2019 and 3 mac users", "The Mayo 2020 guideline",
        "Avril 2020 tour", "Julie 2020", "Louis xiv 2020",
    ],
)  # fmt: skip
def test_what_is_no_date(text):
    assert starts(text) == []


@pytest.mark.parametrize(
    "text", ["6 Mars 2024", "le 6 mars 2024", "6 Mart 2024", "6 Mac 2024", "6. března 2024", "6 de marzo de 2024"]
)
def test_names_that_are_words_elsewhere_are_months_beside_a_day_and_a_year(text):
    assert starts(text, datetime(2024, 3, 20, tzinfo=UTC)) == [date(2024, 3, 6)]


WRITTEN = {
    "{}. {} {}": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "{} de {} de {}": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "{} {} {}": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "{}. {} {} ": "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta syyskuuta lokakuuta "
    "marraskuuta joulukuuta",
}


@given(st.dates(date(1950, 1, 1), date(2080, 12, 31)), st.sampled_from(sorted(WRITTEN)))
def test_every_day_of_a_century_is_read_as_it_is_written(found, form):
    name = WRITTEN[form].split()[found.month - 1]
    assert starts(f"x {form.format(found.day, name, found.year)}.") == [found]


@given(st.text("0123456789. maiMaielwör年월일thángngày,", max_size=40))
def test_no_text_raises_and_a_day_without_a_year_is_near(text):
    for mention in find_dates(text, JUNE):
        assert text[mention.span_start : mention.span_end] == mention.phrase
        if mention.relative and "ai" in mention.phrase:
            assert abs((mention.start - JUNE).days) <= NEAR + 1
