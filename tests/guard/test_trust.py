"""The lesser of role and source is the trust in a cube: only the user's own words are the user's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.guard.trust import Trust, trust_of

LOW, MID, HIGH = Trust.UNTRUSTED, Trust.NORMAL, Trust.TRUSTED
ADDRESSES = """
http://a.example|https://a.example|HTTPS://A.example/x|ｈｔｔｐｓ://a.example| https://a.example|ht\u200btps://a.example|<https://a.example>
via https://a.example|web:search|Web:x|email:eve@x.example|mail:eve@x.example|mailto:eve@x.example|slack:C012/p1|discord:general
telegram:@eve|sms:+447700900555|tel:+351912000000|chat:stranger-31|tool:fetch|function:pay|rss:feed|irc:eve|matrix:!room|git+ssh://h/x
ftp://a.example/x|ftps://a.example|sftp://h|gopher://h|ws://h|s3://bucket/x|ipfs://x|data:text/plain,hello|javascript:alert(1)|urn:x:y
www.a.example|WWW.a.example/page|//a.example/x|\\\\server\\share\\x|a.example/page|sub.a.example?x=1|a.example:8080/x|a.example
eve@x.example|Eve <eve@x.example>|#general|@eve|+44 7700 900555|192.168.0.1|10.0.0.1
scan.pdf|letter.docx|mail.eml|inbox.mbox|page.html|directory-2019.csv|healthcheck.log|invoice-0091.json|card.vcf|invite.ics
/home/ana/Downloads/manual.pdf|C:\\Users\\ana\\manual.pdf|file:///home/ana/manual.pdf
web|web_search|browser|email|E-mail|inbox|slack|Slack export|weather-tool|newsletter|forum|unknown caller
"""
OWN = """
chatgpt|claude|mem0|my notes|diary|import|calendar|notes.md|Journal/2024-02-05.md|C:\\notes\\today.txt|file:///home/ana/notes.md
/home/ana/web/notes.org|conversation 12|Dr. Kim|v1.2|2024-02-05
"""


@pytest.mark.parametrize("source", ADDRESSES.strip().replace("\n", "|").split("|"))
def test_what_anyone_can_write_to_is_untrusted_whoever_brings_it(source):
    assert {trust_of(role, source) for role in (None, "user", "assistant", "system", "tool")} == {LOW}


@pytest.mark.parametrize("source", OWN.strip().replace("\n", "|").split("|"))
def test_labels_and_own_notes_are_normal(source):
    assert trust_of("user", source) == trust_of(None, source) == trust_of("assistant", source) == MID
    assert trust_of("tool", source) == LOW


@pytest.mark.parametrize("role", ["tool", "function", "Tool", "tool_result", "function_call_output", "observation", "ipython",
                                  "web", "browser", "search_results", "retrieval", "plugin", "document"])  # fmt: skip
def test_answers_of_programs_are_untrusted_without_any_source(role):
    assert trust_of(role, None) == trust_of(role, "") == trust_of(role, "notes.md") == LOW


def test_only_the_users_own_words_are_trusted():
    assert trust_of("user", None) == trust_of("human", None) == trust_of(None, None) == trust_of("User", " ") == HIGH
    for role in ("assistant", "ai", "model", "system", "developer", "therapist"):
        assert trust_of(role, None) == MID


def test_rules_decide_before_role_and_source():
    rules = {"https://wiki.mine.example/*": 2, "https://*": 1, "slack:*": 0, "role:tool": 1}
    assert trust_of("tool", "https://wiki.mine.example/a", rules) == HIGH
    assert trust_of("tool", "https://other.example/a", rules) == MID
    assert trust_of("user", "slack:C1", {"slack:*": 2}) == HIGH
    assert trust_of("tool", None, rules) == MID
    assert trust_of("user", "slack:7", rules) == LOW
    with pytest.raises(ValueError, match="7"):
        trust_of("user", "chat:7", {"chat:*": 7})


@given(st.text(max_size=40), st.text(max_size=80))
def test_a_source_never_adds_trust_to_a_role_nor_a_role_to_a_source(role, source):
    assert trust_of(role, source) == min(trust_of(role, None), trust_of(None, source))
