"""Find and redact secrets in texts by their shape: keys, tokens, private keys and payment cards.

The shapes are those of the library detect-secrets and a few newer ones. Its plugins for high entropy, keywords and
assignments are not used, since they take prose for secrets, and nothing is ever verified over the network.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from mnemos.cube import MemCube
from mnemos.errors import InvalidInput

CARD = "payment card"
PEM = "private PEM block"
JWT = "JSON Web credential"
# The name of a kind contains no word that a pattern looks for, and is so long that no pattern reaches across a redaction:
# otherwise secrets would be found in redacted texts.
LIBRARY = {
    "artifactory.ArtifactoryDetector": "Artifactory credential",
    "aws.AWSKeyDetector": "Amazon credential",
    "azure_storage_key.AzureStorageKeyDetector": "Azure credential",
    "discord.DiscordBotTokenDetector": "Discord credential",
    "github_token.GitHubTokenDetector": "GitHub credential",
    "gitlab_token.GitLabTokenDetector": "GitLab credential",
    "mailchimp.MailchimpDetector": "Mailchimp credential",
    "pypi_token.PypiTokenDetector": "PyPI credential",
    "sendgrid.SendGridDetector": "SendGrid credential",
    "slack.SlackDetector": "Slack credential",
    "square_oauth.SquareOAuthDetector": "Square credential",
    "stripe.StripeDetector": "Stripe credential",
    "telegram_token.TelegramBotTokenDetector": "Telegram credential",
    "twilio.TwilioKeyDetector": "Twilio credential",
}
# What the library misses, cuts short, or matches in more than linear time.
OWN = {
    "Anthropic credential": r"sk-ant-[\w-]{20,}+",
    "OpenAI credential": r"sk-(?:proj|svcacct|admin)-[\w-]{20,}+|(?<![A-Za-z0-9])sk-[A-Za-z0-9]{32,}+",
    "GitHub credential": r"github_pat_\w{22,}+",
    "Google credential": r"AIza[\w-]{35}|GOCSPX-[\w-]{20,}+|ya29\.[\w-]{30,}+",
    "Hugging Face credential": r"hf_[A-Za-z0-9]{30,}+",
    "npm credential": r"npm_[A-Za-z0-9]{36}|_authToken=[ \t]{0,8}[^\s\[]{8,}+",
    "Stripe credential": r"[rs]k_(?:live|test)_[0-9A-Za-z]{16,}+|whsec_[0-9A-Za-z]{24,}+",
    "Slack credential": r"xapp-[0-9]-[A-Za-z0-9-]{20,}+|xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{20,}+",
    "Shopify credential": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "DigitalOcean credential": r"do[opr]_v1_[0-9a-f]{64}",
    "address with a login": r"(?<=://)[^\s:@/\[\]]{1,100}+:[^\s:@/\[\]]{1,200}+(?=@)",
}
JWT_SHAPE = re.compile(r"(?<![\w=-])eyJ[\w=-]{13,}+\.[\w=-]++(?:\.[\w.+/=-]*+)?", re.ASCII)
PEM_BEGIN = re.compile(
    r"(?:-{2,5} ?)?+BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?(?: ?-{2,5})?+|PuTTY-User-Key-File-"
)
PEM_END = re.compile(r"END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?(?: ?-{2,5})?+|Private-MAC: ?[0-9a-f]*+")
PEM_LINES = re.compile(
    r"(?:(?:\s|\\r|\\n)*+(?:[A-Z][A-Za-z-]{3,20}: [^\n]{1,80}+\n|[A-Za-z0-9+/=]{16,}+"
    r"|[A-Za-z0-9+/]{1,15}+={1,2}))*+"
)
CARD_SHAPE = re.compile(
    r"(?<![\w.-])(?:[0-9]{13,19}|[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}|[0-9]{6}([ -])[0-9]{7,13})(?![\w-])", re.ASCII,
)  # fmt: skip
ISSUERS = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})\Z|5[1-5][0-9]{14}\Z|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}\Z"
    r"|3[47][0-9]{13}\Z|3(?:0[0-5]|[68][0-9])[0-9]{11,16}\Z|35(?:2[89]|[3-8][0-9])[0-9]{12,15}\Z"
    r"|6(?:011|4[4-9][0-9]|5[0-9]{2}|2[0-9]{2})[0-9]{12,15}\Z|(?:50[0-9]{2}|5[6-8][0-9]{2}|6304|67[0-9]{2})[0-9]{9,15}\Z"
)
# Two cheap tests that let prose pass: a long run without a blank, then the beginning of a secret.
LONG = re.compile(r"[\w+/=.:-]{16}|[0-9](?:[ -]?[0-9]){12}|://|BEGIN|_authToken", re.ASCII)
HINT = re.compile(
    r"sk-|gh[pousr]_|github_pat_|gl(?:pat|dt|ft|soat|rt|cbt|imt|ptt|agent|oas)-|GR1348941|AIza|GOCSPX-|ya29\.|hf_[A-Za-z0-9]{30}"
    r"|npm_|_authToken=|[rs]k_(?:live|test)_|whsec_|xapp-|[xX][oO][xX][a-zA-Z][.-]|[hH][oO]{2}[kK][sS]\.[sS]|shp[acs][ats]_"
    r"|do[opr]_v1_|eyJ[\w=-]{4}|BEGIN [A-Z0-9 ]{0,40}PRIVATE|PuTTY-|A3T[A-Z0-9]|A[BKS]IA|ACCA|[\"'][0-9a-zA-Z/+]{40}"
    r"|AKC[a-zA-Z0-9]{10}|AP[0-9A-F][a-zA-Z0-9]{8}|AccountKey=|\.[\w-]{6}\.[\w-]{27}|-us[0-9]|pypi-|SG\.|sq0csp-"
    r"|[0-9]{8}:[\w-]{35}|(?:AC|SK)[a-z0-9]{32}|://[^\s:@/]{1,100}:[^\s@/]|[0-9](?:[ -]?[0-9]){12}", re.ASCII,
)  # fmt: skip
DELIMITERS = ' \t\r\n\f\v=:"'
TAIL = re.compile(r"\w*+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret of this kind at text[start:end]."""

    kind: str
    start: int
    end: int


def scan(text: str) -> list[Secret]:
    """Return the secrets in a text, in its order, without overlaps. O(characters).

    Ordinary prose costs one regex, about 3 µs per 100 characters; detect-secrets (170 ms) is imported only for a text
    with the beginning of a secret.
    """
    if not LONG.search(text) or not HINT.search(text):
        return []
    found: list[Secret] = []
    # Scan again after each find: a secret may hide another one from patterns that look at its surroundings.
    while new := merged(_passes(text)):
        found += new
        parts, last = [], 0
        for secret in new:
            parts += [text[last : secret.start], "\n" * (secret.end - secret.start)]
            last = secret.end
        text = "".join([*parts, text[last:]])
    return merged(found)


def redact(text: str) -> tuple[str, list[Secret]]:
    """Return the text with each secret replaced by `[redacted: KIND]`, and the secrets (positions in the given text)."""
    secrets = scan(text)
    parts, last = [], 0
    for secret in secrets:
        parts += [text[last : secret.start], f"[redacted: {secret.kind}]"]
        last = secret.end
    return "".join([*parts, text[last:]]), secrets


def redact_cube(cube: MemCube, policy: str) -> MemCube:
    """Return a cube with the secrets in its text and metadata redacted; the policy "keep" returns it unchanged.

    With the policy "refuse" raises InvalidInput, which names the kinds and nothing of the secrets. Ordinary text costs
    3 us.
    """
    if policy == "keep":
        return cube
    text, found = redact(cube.text)
    kinds = [secret.kind for secret in found]
    metadata: Any = cube.metadata
    if metadata and scan(json.dumps(metadata, ensure_ascii=False)):
        metadata = _walk(dict(metadata), kinds)
    if not kinds:
        return cube
    if policy == "refuse":
        raise InvalidInput(
            f"the text contains a secret ({', '.join(sorted(set(kinds)))}), which this space refuses. Remove it and try "
            "again; nothing was stored."
        )
    return replace(cube, text=text, metadata={**metadata, "redacted": sorted(set(kinds))})


def _walk(value: Any, kinds: list[str]) -> Any:
    if isinstance(value, str):
        text, found = redact(value)
        kinds += [secret.kind for secret in found]
        return text
    if isinstance(value, dict):
        return {_walk(k, kinds): _walk(v, kinds) for k, v in value.items()}
    return [_walk(v, kinds) for v in value] if isinstance(value, list) else value


def merged(secrets: Iterator[Secret] | list[Secret]) -> list[Secret]:
    """Return the secrets by position; overlapping ones become one of the first one's kind."""
    out: list[Secret] = []
    for secret in sorted(secrets, key=lambda s: (s.start, -s.end)):
        if out and secret.start < out[-1].end:
            out[-1] = Secret(out[-1].kind, out[-1].start, max(out[-1].end, secret.end))
        else:
            out.append(secret)
    return out


def luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of the others (ISO/IEC 7812-1)."""
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(int(d) for d in digits[-1::-2]) + sum(doubled)) % 10 == 0


def _passes(text: str) -> Iterator[Secret]:
    for match in CARD_SHAPE.finditer(text):
        digits = re.sub("[ -]", "", match[0])
        if ISSUERS.match(digits) and luhn(digits):
            yield Secret(CARD, match.start(), match.end())
    yield from _pem(text)
    jwt, patterns = _library()
    for match in JWT_SHAPE.finditer(text):
        if jwt(".".join(match[0].split(".")[:2])):
            yield Secret(JWT, match.start(), match.end())
    for kind, pattern in patterns:
        place = 0
        while (key := pattern.search(text, place)) is not None:
            start, end = key.span(1) if kind == "Amazon credential" and key.lastindex else key.span()
            if kind == "Artifactory credential":
                start += len(key[0]) - len(key[0].lstrip(DELIMITERS))
                end -= len(key[0]) - len(key[0].rstrip(DELIMITERS))
            # The library's lengths are minimums: the rest of the word belongs to the key.
            tail = TAIL.match(text, end)
            place = tail.end() if tail else end
            # The library takes capitalised words for Artifactory keys.
            if kind != "Artifactory credential" or (place - start >= 16 and any(c.isdigit() for c in key[0])):
                yield Secret(kind, start, place)


def _pem(text: str) -> Iterator[Secret]:
    begins = list(PEM_BEGIN.finditer(text))
    if not begins:
        return
    ends = [m.end() for m in PEM_END.finditer(text)]
    for i, match in enumerate(begins):
        place = bisect_left(ends, match.end())
        following = begins[i + 1].start() if i + 1 < len(begins) else len(text)
        if place < len(ends) and ends[place] <= following:
            yield Secret(PEM, match.start(), ends[place])
        elif lines := PEM_LINES.match(text, match.end(), following):
            yield Secret(PEM, match.start(), lines.end())


@cache
def _library() -> tuple[Any, list[tuple[str, re.Pattern[str]]]]:
    from importlib import import_module

    patterns = [(kind, re.compile(shape, re.ASCII)) for kind, shape in OWN.items()]
    for path, kind in LIBRARY.items():
        module, name = path.split(".")
        for pattern in getattr(import_module(f"detect_secrets.plugins.{module}"), name)().denylist:
            # What follows a GitLab key does not matter here, and looking at it makes chains of keys slow.
            patterns.append((kind, re.compile(pattern.pattern.replace(r"(?!\w)", ""), pattern.flags)))
    return import_module("detect_secrets.plugins.jwt").JwtTokenDetector.is_formally_valid, patterns
