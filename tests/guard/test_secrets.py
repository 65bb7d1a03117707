"""Secrets are found by their shape, whole; what only looks like one stays."""

import base64
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnemos.guard.secrets import CARD, JWT, PEM, Secret, luhn, redact, scan

LOW, UP, NUM = "abcdefghij", "ABCDEFGHIJ", "1234567890"
MIXED = "aB3dE6gH9j"


def part(data):
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


def pem(name, lines=3):
    dashes = "-" * 5
    body = "\n".join((MIXED * 7)[:64] for _ in range(lines))
    return f"{dashes}BEGIN {name}{dashes}\n{body}\n{dashes}END {name}{dashes}"


# Made here, piece by piece, so that no scanner takes this file for a leak.
SECRETS = {
    "Amazon credential": "AK" + "IA" + UP + "123456",
    "Artifactory credential": "AK" + "C" + MIXED * 3,
    "Azure credential": "Account" + "Key=" + (MIXED * 9)[:86] + "==",
    "Discord credential": "M" + (MIXED * 3)[:23] + "." + MIXED[:6] + "." + (MIXED * 3)[:27],
    "GitHub credential": "gh" + "p_" + (MIXED * 4)[:36],
    "GitLab credential": "gl" + "pat-" + MIXED * 2,
    "Mailchimp credential": ("0a1b2c3d4e" * 4)[:32] + "-us" + "12",
    "PyPI credential": "pypi-" + "AgEIcHlwaS5vcmc" + MIXED * 8,
    "SendGrid credential": "S" + "G." + (MIXED * 3)[:22] + "." + (MIXED * 5)[:43],
    "Slack credential": "xo" + "xb-" + NUM + "-" + NUM + "-" + MIXED * 2,
    "Square credential": "sq0" + "csp-" + (MIXED * 5)[:43],
    "Stripe credential": "sk_" + "live_" + (MIXED * 3)[:24],
    "Telegram credential": NUM[:9] + ":" + (MIXED * 4)[:35],
    "Twilio credential": "A" + "C" + ("0a1b2c3d4e" * 4)[:32],
    "Anthropic credential": "sk-" + "ant-api03-" + MIXED * 5,
    "OpenAI credential": "sk-" + "proj-" + MIXED * 5,
    "Google credential": "AI" + "za" + (MIXED * 4)[:35],
    "Hugging Face credential": "h" + "f_" + (MIXED * 4)[:34],
    "npm credential": "np" + "m_" + (MIXED * 4)[:36],
    "Shopify credential": "shp" + "at_" + ("0a1b2c3d" * 4),
    "DigitalOcean credential": "do" + "p_v1_" + "0a1b2c3d" * 8,
    CARD: "4111 " + "1111 1111 " + "1111",
    PEM: pem("RSA PRIVATE " + "KEY"),
    JWT: part({"alg": "HS256", "typ": "JWT"}) + "." + part({"sub": "1", "name": "Ana"}) + "." + MIXED * 4,
}
MORE = [
    ("GitHub credential", "github" + "_pat_" + MIXED * 8),
    ("OpenAI credential", "sk-" + MIXED * 4),
    ("OpenAI credential", "sk-" + "svcacct-" + MIXED * 8),
    ("Stripe credential", "rk_" + "test_" + MIXED * 9),
    ("Slack credential", "https://hooks." + "slack.com/services/T" + UP[:8] + "/B" + UP[:8] + "/" + MIXED * 2),
    ("Slack credential", "xapp-" + "1-" + UP + "-" + NUM + "-" + MIXED * 3),
    (CARD, "3782" + "82246310005"),
    (CARD, "5555-5555-" + "5555-4444"),
    (CARD, "6011" + "111111111117"),
    (PEM, pem("PRIVATE " + "KEY")),
    (PEM, pem("PGP PRIVATE " + "KEY BLOCK")),
    (PEM, pem("EC PRIVATE " + "KEY").rsplit("\n", 1)[0]),
]
CASES = [*SECRETS.items(), *MORE]


@pytest.mark.parametrize(("kind", "secret"), CASES, ids=[f"{k}-{i}" for i, (k, _) in enumerate(CASES)])
def test_a_secret_is_found_whole_and_redacted(kind, secret):
    text = f"my new one is {secret} , keep it"
    assert scan(text) == [Secret(kind, 14, 14 + len(secret))]
    assert redact(text)[0] == f"my new one is [redacted: {kind}] , keep it"


def test_only_the_login_of_an_address_and_only_the_value_of_a_setting_are_redacted():
    assert redact("see postgres://ana:" + "hunter2@db.example/x")[0] == (
        "see postgres://[redacted: address with a login]@db.example/x"
    )
    value = "aB3dE6gH9j" * 4
    assert redact(f'aws_secret_access_key = "{value}"')[0] == 'aws_secret_access_key = "[redacted: Amazon credential]"'


@pytest.mark.parametrize(
    "text",
    [
        "We met on 2024-03-01T10:20:30Z and again on 01/02/2023 at 18:45.",
        "Call +49 170 1234567, (555) 123-4567 or 0044 20 7946 0958.",
        "ISBN 978-3-16-148410-0, ISBN 9780306406157, 0-306-40615-2",
        "id 123e4567-e89b-12d3-a456-426614174000 and 12345678-1234-1234-1234-123456789012",
        "commit 9fceb02d0ae598e95dc970b74767f19372d61af8, sha256 " + "0a1b2c3d" * 8,
        "It was $1,234,567.89, or 1234567890.12 EUR, at 1700000000000 ms",
        "IBAN DE89 3704 0044 0532 0130 00, order 4111111111111112, parcel 1Z999AA10123456784",
        "APARTMENTS, APPRECIATION and ACKNOWLEDGEMENTS; the task-management of a risk-averse desk-antique dealer",
        "https://example.com/a/b?c=d#e and http://localhost:8080/path, mail ana@example.com",
        "In hindsight the key was in the private drawer; my password is a secret, the token too.",
        "0.4111111111111111 and 4111111111111111.5e10"[:22],
        "see [redacted: payment card] and [redacted: Amazon credential]",
        "",
    ],
)
def test_what_only_looks_like_a_secret_stays(text):
    assert redact(text) == (text, [])


def test_an_unfinished_private_key_ends_where_its_lines_end():
    text = pem("RSA PRIVATE " + "KEY").rsplit("\n", 1)[0] + "\n\nHe sent me this yesterday, what is it?"
    assert redact(text)[0] == f"[redacted: {PEM}]\n\nHe sent me this yesterday, what is it?"


def test_keys_without_a_gap_between_them_all_go():
    token = SECRETS["GitLab credential"]
    glued = SECRETS["Amazon credential"] + "4111111111111111" + token * 3
    assert "4111" not in redact(glued)[0]
    assert "gl" + "pat" not in redact(glued)[0]


pieces = st.lists(
    st.one_of(
        st.sampled_from([s for _, s in CASES]),
        st.text(max_size=12),
        st.sampled_from([" ", "\n", "-", '"', "aws key", "://a:", "@", "eyJ", "sk-", "1", "END PRIVATE " + "KEY", "="]),
    ),
    max_size=12,
)


@given(pieces)
def test_redaction_is_idempotent_and_leaves_no_secret(parts):
    text = "".join(parts)
    clean, secrets = redact(text)
    assert scan(clean) == []
    assert redact(clean) == (clean, [])
    assert bool(secrets) == (clean != text)
    for one, other in zip(secrets, secrets[1:], strict=False):
        assert one.start < one.end <= other.start


@given(st.text(alphabet="0123456789 -", max_size=60))
def test_every_card_found_passes_the_check_digit(text):
    for secret in scan(text):
        assert luhn("".join(c for c in text[secret.start : secret.end] if c.isdigit()))


@pytest.mark.parametrize(
    "unit",
    ["1", "a", "A", "aB3", "1-", "4111 ", "eyJ", "eyJ.", "sk-", "://a:", "AKIA", "glpat-", "'a", "xoxb-1-", " \n",
     "-----BEGIN PRIVATE " + "KEY-----", "BEGIN PRIVATE " + "KEY\nAaaa: ", "_authToken=\t"],
)  # fmt: skip
def test_a_megabyte_of_anything_comes_to_an_end(unit):
    scan(unit * (1_000_000 // len(unit)))  # with a step per pair of characters this would take hours


def test_prose_does_not_import_the_library():
    code = (
        "import sys; from mnemos.guard.secrets import redact; redact('Ana called +49 170 1234567 on 2024-03-01.');"
        "print('detect_secrets' in sys.modules, 'requests' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_nothing_is_asked_over_the_network(monkeypatch):
    import socket

    monkeypatch.setattr(socket, "socket", None)
    monkeypatch.setattr(socket, "create_connection", None)
    assert len(scan(" ".join(SECRETS.values()))) >= len(SECRETS) - 1
