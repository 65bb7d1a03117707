"""The tables of the benchmarks of activation memory, for the docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Result = Mapping[str, Any]
Rows = list[list[Any]]


def accuracy(task: str) -> Callable[[Result], Rows]:
    """Return the table of one task: accuracy (and the share of the bytes truly held) by method and share."""

    def rows(result: Result) -> Rows:
        found = {name: row["tasks"][task] for name, row in result["methods"].items() if row["tasks"][task]}
        shares = _longest(found)
        best = sorted(found, key=lambda name: -_mean(found[name]))
        lines: Rows = [[f"{task}: answered (held)", *(f"{100 * float(share):g} %" for share in shares)]]
        for name in best:
            cells = [found[name].get(share) for share in shares]
            lines.append([name, *("–" if c is None else f"{c['accuracy']:.2f} ({c['held']:.2f})" for c in cells)])
        return lines

    return rows


def in_turn(result: Result, share: str = "0.25") -> Rows:
    """Return the answers to the first to fifth question over one context of which a quarter is held."""
    found = {name: row["tasks"]["in-turn"].get(share) for name, row in result["methods"].items()}
    kept = {name: turns for name, turns in found.items() if turns}
    lines: Rows = [["a quarter held; answered", "1st, known", "2nd", "3rd", "4th", "5th", "least of the 2nd to 5th"]]
    for name in sorted(kept, key=lambda n: -min(kept[n][1:])):
        lines.append([name, *(f"{score:.2f}" for score in kept[name]), f"{min(kept[name][1:]):.2f}"])
    return lines


def token_by_token(result: Result) -> Rows:
    """Return the answers of methods that read the context a token at a time under a fixed number of entries."""
    found = {name: row["tasks"]["decode"] for name, row in result["methods"].items() if row["tasks"]["decode"]}
    shares = _longest(found)
    lines: Rows = [["read a token at a time; answered", *(f"{100 * float(share):g} %" for share in shares)]]
    for name in sorted(found, key=lambda n: -_mean(found[n])):
        cells = [found[name].get(share) for share in shares]
        lines.append([name, *("–" if c is None else f"{c['accuracy']:.2f}" for c in cells)])
    return lines


def beaten(result: Result) -> Rows:
    """Return whether each method beat its baselines on its own task, a quarter held."""
    lines: Rows = [["method", "task", "baselines", "ahead of the best of them by", "beaten"]]
    for name, row in result["beaten"].items():
        others = ", ".join(result["methods"][name]["baselines"])
        verdict = "yes" if row["beaten"] else "level" if row["margin"] == 0 else "no"
        lines.append([name, row["task"], others, f"{row['margin']:+.2f}", verdict])
    return lines


def outliers(result: Result) -> Rows:
    """Return the answers with rounded keys, by how much key channels stand out."""
    scales = list(result["outliers"])
    lines: Rows = [["keys per channel / per token", *(f"one pair of channels times {scale}" for scale in scales)]]
    for bits in next(iter(result["outliers"].values())):
        pairs = [result["outliers"][scale][bits] for scale in scales]
        lines.append([f"{bits} bits", *(f"{a:.2f} / {b:.2f}" for a, b in pairs)])
    return lines


def long(result: Result) -> Rows:
    """Return the answers to key-value questions by the length of the context."""
    found = result["key-value"]
    lengths = list(next(iter(found.values())))
    lines: Rows = [[f"trained on contexts to {result['trained']}; context of", *lengths]]
    return lines + [[name, *(f"{scores[n]:.2f}" for n in lengths)] for name, scores in found.items()]


def passkey(result: Result) -> Rows:
    """Return the answers to the passkey by its depth in the longest context."""
    found = result["passkey"]
    depths = list(next(iter(found.values())))
    longest = list(next(iter(result["key-value"].values())))[-1]
    lines: Rows = [[f"passkey in {longest} tokens, at", *(f"{100 * float(d):g} %" for d in depths)]]
    return lines + [[name, *(f"{scores[d]:.2f}" for d in depths)] for name, scores in found.items()]


def joined(result: Result) -> Rows:
    """Return what reading pieces alone and joining them costs."""
    lines: Rows = [["64 tokens in pieces of", "answered, pieces in order", "answered, in another order"]]
    return lines + [[size, *(f"{score:.2f}" for score in scores)] for size, scores in result["joined"].items()]


def diffusion(result: Result) -> Rows:
    """Return the caches for masked-diffusion decoding."""
    shown = {"accuracy": "answers right", "agreement": "tokens as without a cache", "recomputed": "positions computed"}
    policies = result["policies"]
    lines: Rows = [["cache", *shown.values(), "times faster, larger model"]]
    for name, row in policies.items():
        cells = [f"{row[key]:.3g}" if row[key] <= 1 else f"{row[key]:.0f}" for key in shown]
        wall = result["wall"].get(name)
        lines.append([name, *cells, "–" if wall is None else f"{wall['speedup']:.1f}"])
    return lines


def seam(result: Result) -> Rows:
    """Return what our door costs against transformers' own cache."""
    s = result["seam"]
    return [
        [f"{s['prompt']:,} tokens read, {s['steps']} generated", "transformers", "Mnemos, nothing dropped", "overhead"],
        ["reading, ms", *s["prefill_ms"], f"{100 * s['prefill_overhead']:+.1f} %"],
        ["a token, ms", *s["decode_ms"], f"{100 * s['decode_overhead']:+.1f} %"],
        ["largest difference of the logits", "", f"{s['logits_error']:.1e}", ""],
    ]


def decode(result: Result) -> Rows:
    """Return tokens a second behind a long context."""
    d = result["decode"]
    lines: Rows = [[f"behind {d['context']:,} tokens", "tokens a second", "times transformers' cache", "bytes held"]]
    for name, rate in d["tokens_per_second"].items():
        size = d["bytes"].get(name)
        shown = name if name in ("transformers", "mnemos") else f"{name}, an eighth"
        lines.append([shown, f"{rate:.1f}", f"{d['times'][name]:.2f}", "–" if size is None else f"{size / 1e6:.1f} MB"])
    return lines


def reuse(result: Result) -> Rows:
    """Return the time to the first token with KV cubes."""
    r = result["reuse"]
    lines: Rows = [[f"{r['cubes']} cubes, {r['tokens']:,} tokens", "first token, ms", "times faster"]]
    for tier, ms in r["first_token_ms"].items():
        lines.append([tier, ms, r["times_faster"].get(tier, "–")])
    return [*lines, ["the same tokens", "yes" if r["same_tokens"] else "no", ""]]


def kvpress(result: Result) -> Rows:
    """Return accuracy, bytes and speed beside kvpress."""
    shares = list(next(iter(result["methods"].values()))["shares"])
    head = [f"{100 * float(s):g} %: kvpress / Mnemos" for s in shares]
    lines: Rows = [
        ["method", "questions", *head, "held at 25 %: kvpress / Mnemos", "tokens a second: kvpress / Mnemos"]
    ]
    for name, row in result["methods"].items():
        cells = [
            f"{row['shares'][s]['kvpress']['accuracy']:.2f} / {row['shares'][s]['mnemos']['accuracy']:.2f}"
            for s in shares
        ]
        held = row["shares"]["0.25"]
        speed = row.get("tokens_per_second")
        rates = "–" if speed is None else f"{speed['kvpress']:.0f} / {speed['mnemos']:.0f}"
        lines.append(
            [name, row["questions"], *cells, f"{held['kvpress']['held']:.2f} / {held['mnemos']['held']:.2f}", rates]
        )
    return lines


def pages(result: Result) -> Rows:
    """Return what pages, a shared prefix and chunked attention save."""
    w = result["waste"]
    lines: Rows = [
        ["what", "measured", "against"],
        [
            "room that holds no token, mixed lengths",
            f"{100 * w['waste']:.1f} %",
            f"{100 * w['waste_reserved']:.1f} % reserved",
        ],
        ["sequences at once", f"{w['running']:.0f}", f"{w['running_reserved']} reserved"],
    ]
    for row in result["read"]:
        ms = row["ms"]
        what = f"one step over {row['entries']:,} entries in pages / scattered, ms"
        lines.append([what, f"{ms['paged']:.2f} / {ms['scattered']:.2f}", f"{ms['contiguous']:.2f} in one piece"])
    for row in (r for r in result["relay"] if r["requests"] == 16):
        what = f"16 requests behind a shared prefix of {row['prefix']:,}, ms a step"
        lines.append([what, f"{row['ms']['relay']:.1f}", f"{row['ms']['replicated']:.1f} with a copy each"])
    for row in (r for r in result["chunked"] if r["n"] == 8192):
        what = f"8,192 queries in chunks{', with the gradient' if row['gradient'] else ''}: memory, slowdown"
        found = f"{row['chunked']['peak_mb']:.0f} MB, {row['slowdown']:.2f} times"
        lines.append([what, found, f"{row['plain']['peak_mb']:.0f} MB at once"])
    return lines


def schedule(result: Result) -> Rows:
    """Return the mean time of a job by how long caches are pinned while tools work, at the higher load."""
    rows = [row for row in result["leases"] if row["turns_per_s"] == 3 and row["pace"] == 1.0]
    lines: Rows = [["mean seconds of a job", *(f"{r['turns']} turns, lengths {r['lengths']}" for r in rows)]]
    for policy in rows[0]["policies"]:
        lines.append([policy, *(f"{r['policies'][policy]['mean_s']:.0f}" for r in rows)])
    return lines


def _longest(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the shares of the method that was measured at most of them."""
    return max((list(cells) for cells in found.values()), key=len)


def _mean(cells: Mapping[str, Any]) -> float:
    scores = [cell["accuracy"] for cell in cells.values()]
    return float(sum(scores) / len(scores))


TABLES: dict[str, tuple[str, Callable[[Result], Rows]]] = {
    **{f"kv-{task}": ("kv/kv", accuracy(task))
       for task in ("key-value", "key-value-known", "records", "records-known", "topics", "passkey", "repeated")},
    "kv-in-turn": ("kv/kv", in_turn),
    "kv-token-by-token": ("kv/kv", token_by_token),
    "kv-beaten": ("kv/kv", beaten),
    "kv-outliers": ("kv/kv", outliers),
    "kv-long": ("kv/kv-long", long),
    "kv-passkey": ("kv/kv-long", passkey),
    "kv-joined": ("kv/kv-long", joined),
    "kv-diffusion": ("kv/kv-diffusion", diffusion),
    "kv-seam": ("kv/kv-speed", seam),
    "kv-decode": ("kv/kv-speed", decode),
    "kv-reuse": ("kv/kv-speed", reuse),
    "kv-press": ("peers/kvpress", kvpress),
    "kv-pages": ("kv/kv-pages", pages),
    "kv-schedule": ("kv/kv-schedule", schedule),
}  # fmt: skip
