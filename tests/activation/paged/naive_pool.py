"""The reference beside `Pool`: no tensors, digests, counts or heaps, only lists that are searched from end to end.

It shares no code with the pool but the leases. Sequences are complete: every layer has written all tokens.
"""

from dataclasses import dataclass, field

from mnemos.activation.paged.base import NoLease
from mnemos.errors import StoreFull

PRIORITIES = {
    "lru": lambda page: (page.last,),
    "slru": lambda page: (page.hits >= 2, page.last),
    "hits per token": lambda page: (page.hits / len(page.prefix[1]), page.last),
}


@dataclass(eq=False)
class Page:
    number: int
    prefix: tuple | None = None  # (salt, all tokens up to its last), by which it is found
    holders: list = field(default_factory=list)  # names of sequences, and ("lease", name)
    hits: int = 0
    last: int = 0


@dataclass
class Sequence:
    tokens: list
    salt: str
    pages: list | None  # None while swapped out
    full: int  # blocks that were complete when something was written last


class NaivePool:
    def __init__(self, blocks, size, eviction="lru", lease=None, swaps=False):
        self.pages = [Page(i) for i in range(blocks)]
        self.size, self.swaps, self.priority, self.lease = size, swaps, PRIORITIES[eviction], lease or NoLease()
        self.sequences = {}  # the least recently used first
        self.leases = {}  # name -> (until, pages)
        self.time = 0

    def free_pages(self):
        return [page for page in self.pages if not page.holders]

    def find(self, tokens, salt, blocks):
        """Return the pages of the longest prefix of at most so many blocks."""
        found = []
        for end in range(self.size, blocks * self.size + 1, self.size):
            page = next((page for page in self.pages if page.prefix == (salt, tuple(tokens[:end]))), None)
            if page is None:
                break
            found.append(page)
        return found

    def take(self, holder):
        def order(page):
            return (True, self.priority(page)) if page.prefix else (False, (page.number,))

        page = min(self.free_pages(), key=order)
        page.prefix, page.holders = None, [holder]
        return page

    def release(self, pages, holder, used=True):
        for page in reversed(pages):
            page.holders.remove(holder)
            if page.prefix and used:
                self.time += 1
                page.last = self.time

    def open(self, name, tokens, salt):
        found = self.find(tokens, salt, max(len(tokens) - 1, 0) // self.size)
        for page in found:
            page.holders.append(name)
            page.hits += 1
        self.unpin(name)
        self.sequences[name] = Sequence(tokens[: len(found) * self.size], salt, found, len(found))
        return len(found) * self.size

    def free(self, name):
        self.release(self.sequences.pop(name).pages or [], name)

    def used(self, name):
        self.sequences[name] = self.sequences.pop(name)
        sequence = self.sequences[name]
        if sequence.pages is None:
            pages = self.find(sequence.tokens, sequence.salt, sequence.full)
            for page in pages:
                page.holders.append(name)
            new = -(-len(sequence.tokens) // self.size) - len(pages)
            try:
                self.make_room(new, name)
            except StoreFull:
                self.release(pages, name)
                raise
            sequence.pages = pages + [self.take(name) for _ in range(new)]
            self.name_pages(sequence, 0)
        return sequence

    def fork(self, name, other):
        sequence = self.used(name)
        for page in sequence.pages:
            page.holders.append(other)
        self.sequences[other] = Sequence(list(sequence.tokens), sequence.salt, list(sequence.pages), sequence.full)

    def wanted(self, sequence, n):
        total, pages = -(-(len(sequence.tokens) + n) // self.size), sequence.pages
        if pages is None:
            return total
        shared = n > 0 and len(sequence.tokens) % self.size > 0 and len(pages[-1].holders) > 1
        return total - len(pages) + shared

    def can_grow(self, name, n):
        return self.wanted(self.sequences[name], n) <= len(self.free_pages())

    def grow(self, name, tokens):
        """Grow, and write."""
        sequence = self.used(name)
        self.make_room(self.wanted(sequence, len(tokens)), name)
        if tokens and len(sequence.tokens) % self.size:
            last = sequence.pages[-1]
            if len(last.holders) > 1:
                fresh = self.take(name)
                self.release([last], name)
                sequence.pages[-1] = fresh
            else:
                last.prefix = None
        sequence.tokens += tokens
        while len(sequence.pages) * self.size < len(sequence.tokens):
            sequence.pages.append(self.take(name))
        since, sequence.full = sequence.full, len(sequence.tokens) // self.size
        self.name_pages(sequence, since)

    def name_pages(self, sequence, since):
        for i in range(since, sequence.full):
            prefix = (sequence.salt, tuple(sequence.tokens[: (i + 1) * self.size]))
            if sequence.pages[i].prefix is None and all(page.prefix != prefix for page in self.pages):
                sequence.pages[i].prefix, sequence.pages[i].hits, sequence.pages[i].last = prefix, 1, 0

    def truncate(self, name, length):
        sequence = self.used(name)
        keep = -(-length // self.size)
        self.release(sequence.pages[keep:], name)
        del sequence.pages[keep:], sequence.tokens[length:]
        sequence.full = min(sequence.full, length // self.size)

    def swap_out(self, name):
        sequence = self.sequences[name]
        if sequence.pages is not None:
            self.release(sequence.pages, name)
            sequence.pages = None

    def make_room(self, wanted, name):
        if wanted <= len(self.free_pages()):
            return
        movable = [n for n, s in self.sequences.items() if n != name and s.pages is not None and self.swaps]
        if wanted > sum(all(holder in movable for holder in page.holders) for page in self.pages):
            raise StoreFull("no room")
        for other in movable:
            if wanted > len(self.free_pages()):
                self.swap_out(other)

    def pause(self, name, tool, reload, now):
        sequence = self.sequences[name]
        seconds = self.lease.ttl(tool, reload)
        pages = self.find(sequence.tokens, sequence.salt, sequence.full) if seconds > 0 else []
        for page in pages:
            page.holders.append(("lease", name, now))
        self.free(name)
        self.unpin(name)
        if seconds > 0:
            self.leases[name] = (now + seconds, now, pages)
        return now + max(seconds, 0)

    def unpin(self, name):
        if name in self.leases:
            _, since, pages = self.leases.pop(name)
            self.release(pages, ("lease", name, since), used=False)

    def expire(self, now):
        for name in [name for name, (until, *_) in self.leases.items() if until < now]:
            self.unpin(name)
