"""The words of HTML, in lines, with lists and code kept apart."""

from __future__ import annotations

from html.parser import HTMLParser

_BREAKS = {
    "p",
    "div",
    "br",
    "tr",
    "ul",
    "ol",
    "table",
    "pre",
    "blockquote",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
}
_SILENT = {"script", "style", "head", "template", "noscript"}


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.silent = self.pre = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.silent += tag in _SILENT
        self.pre += tag == "pre"
        if tag in _BREAKS:
            self.out.append("\n- " if tag == "li" else "\n")
        elif tag in ("td", "th"):
            self.out.append(" | ")

    def handle_endtag(self, tag: str) -> None:
        self.silent = max(0, self.silent - (tag in _SILENT))
        self.pre = max(0, self.pre - (tag == "pre"))
        if tag in _BREAKS and tag != "li":
            self.out.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.out.append(data if self.pre else " ".join(f"_{data}_".split())[1:-1])


def html_text(html: str) -> str:
    """Return the words of a piece of HTML; blank lines are dropped."""
    words = _Words()
    words.feed(html)
    words.close()
    lines = (line.replace("\xa0", " ").rstrip() for line in "".join(words.out).split("\n"))
    return "\n".join(line for line in lines if line.strip(" -"))
