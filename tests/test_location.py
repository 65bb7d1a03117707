"""A root is a folder or the URL of a database; a password in it is shown nowhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos import Mnemos
from mnemos.errors import InvalidInput
from mnemos.location import DatabaseUrl, locate, masked

SECRET = "s3cr3t"


@pytest.mark.parametrize("folder", ["memory", "./a/b", "C:/Users/ana", "C:\\Users\\ana", "a:b", "~/x", "/postgresql"])
def test_paths_are_folders(folder):
    assert locate(folder) == Path(folder).expanduser()
    assert locate(Path(folder)) == Path(folder).expanduser()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ana@host:5432/db", "postgres:///db?host=/tmp&port=1", "postgresql://a:b%40c@h1:1,h2:2/db?x=y",
        "postgresql://[::1]:5432/db", "postgresql://", "postgresql://host", "postgresql:///db?user=a%40b&password=c@d",
    ],
)  # fmt: skip
def test_urls_of_databases_are_taken_as_they_are(url):
    found = locate(url)
    assert isinstance(found, DatabaseUrl)
    assert found.url == url
    assert locate(found) is found


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"postgress://u:{SECRET}@h/db", "is not the URL of a database"), ("mysql://h/db", "is not the URL of a database"),
        (f"postgresql:/u:{SECRET}@h/db", "is not the URL of a database"),
        (f"postgresql:u:{SECRET}@h/db", "is not the URL of a database"),
        (f"postgresql+psycopg://u:{SECRET}@h/db", "is not the URL of a database"),
        (f"postgresql://u:{SECRET}@h:54x2/db", "port"), (f"postgresql://u:{SECRET}@h:99999/db", "port"),
        (f"postgresql://u:{SECRET}@{SECRET}@h/db", "second @"), (f"postgresql://u:{SECRET}/{SECRET}@h/db", "%2F"),
    ],
)  # fmt: skip
def test_a_url_with_a_mistake_is_refused_without_its_password(url, says):
    with pytest.raises(InvalidInput) as refused:
        Mnemos(url, embedder="none")
    assert says in str(refused.value)
    assert SECRET not in str(refused.value)


@given(
    st.text(st.characters(codec="ascii", exclude_characters="&#"), min_size=1).map(
        lambda word: f"{SECRET}{word}{SECRET}"
    )
)
def test_no_password_is_shown(word):
    for url in (f"postgresql://ana:{word}@host/db", f"postgresql://host/db?user=ana&password={word}&sslmode=require"):
        for shown in (masked(url), str(DatabaseUrl(url)), repr(DatabaseUrl(url)), f"{DatabaseUrl(url)}"):
            assert SECRET not in shown
