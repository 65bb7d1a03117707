"""How something is told: whose it is, whether it is new, over, wished, long past or for a while.

Words of many languages are cues for each, and no rules: `newest` weighs them beside the vectors of the texts. A word that
ends with "*" stands for all that begin so. Chinese and Japanese words are found anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from mnemos.index.terms import stop_terms, terms
from mnemos.reason.requests import is_request
from mnemos.reason.state_words import WORD

READ = 400  # characters of a text whose words are looked at
LONGEST = 4  # characters of a Chinese or Japanese word
OPENING = 4  # words at the beginning
MOST = 3  # cues of a kind that count
_DID = re.compile(
    r"(?:[a-z]{2,}ed|got|left|sold|gave|made|took|bought|went|met|lost|found|put|had|began|done|cut|quit|first)\b"
)

_OF_NAMED = re.compile(
    r"(?!(?:The|This|That|These|Those|It|There|Here|What|He|She|Who|Where|Which|How|Let|New|Yes|As|Its|My|Our|Your|His|Her|Their"
    r"|Some|Many|Most|All|Both|No|Any)\b)[A-Z][a-z]+"
    r"(?:['\u2019]s\b|\s(?:is|has|was|got|had|will|says|said)\b|\s(?!(?:this|plus|was|is)\b)[a-z]+(?:s|ed)\b)"
)

TABLE = {
    "now": """now, nowadays, these days, currently, at the moment, at last, finally, from now on, from here on,
        as of, since, officially, official, new, newest, latest, permanently, for good, first day,
        first week, first night, first shift, from today, from monday, so far, today, jetzt, nun, neu*,
        ab heute, ab sofort, seit, seitdem, endlich, inzwischen, mittlerweile, heute, ahora, desde, nuevo,
        nueva, por fin, hoy, actualmente, maintenant, désormais, depuis, nouve*, enfin, actuellement, adesso,
        ora, nuovo, nuova, ormai, finalmente, agora, novo, nova, hoje, теперь, сейчас, нов*, наконец*,
        сегодня, отныне, artık, şimdi, yeni, bugün, sonunda, itibaren, الآن, اليوم, أخيرا, منذ, الجديد*, صرت,
        أصبح*, nu, nieuw*, sinds, eindelijk, teraz, nowy, nowa, nowe, wreszcie, nya, ny, äntligen, bây giờ,
        mới, अब, नया, नई, 지금, 지금은, 이제, 새, 现在, 現在, 如今, 目前, 终于, 終於, 新, 从今, 刚, 今は,
        これから, 最近, ついに, やっと""",
    "over": """no longer, any more, anymore, any longer, gone, done with, finished, ended, left, quit, sold, swap*,
        traded, switched, switching, replace*, dropped, gave up, given up, notice, handed, stopped, retired,
        died, cancelled, canceled, moved, changed, closed, broke up, split, divorced, separated, became,
        become, turned, upgraded, transferred, promoted, instead, rather than, goodbye, bye, farewell,
        scrap*, ditched, passed, quits, put back, put off, pushed, slipped, postponed, shifted, rescheduled,
        bumped, extension, upped, raised, increased, lowered, reduced, doubled, halved, went up, went down, up to,
        down to, goes by, go by, call me, calls me, renamed, reset, migrated, exported, history, over, out of,
        correction, no sorry,
        no wait, i meant, nicht mehr, statt, gekündigt, verkauft, umgezogen, aufgehört, aufgegeben, getrennt,
        erhöht, reduziert, gesenkt, gestorben, gewechselt, verlegt, verschoben, abgegeben, geschieden, ya no, dejé,
        dejado, vendí, vendido, mudamos,
        mudé, mudado, mudada, cambi*, en lugar, en vez, separ*, murió, plus, quitté, arrêté, vendu, déménag*, chang*,
        au lieu, démissionné, revendu, fini, lasciato, smesso, venduto, traslocat*, trasferit*, invece,
        niente, saí, larguei, deixei, vendi, mudei, troquei, parei, больше не, уволил*, продал*, переехал*,
        бросил*, вместо, поменял*, расстал*, değil, ayrıldı*, sattı*, taşındı*, bıraktı*, yerine, değişti*,
        لم أعد, تركت, بعت, انتقل*, بدل*, غيرت, ودعت, niet meer, verhuisd, verkocht, gestopt, już nie,
        sprzedał*, przeprowadz*, odszedł*, zamiast, inte längre, flyttat, slutat, sålt, không còn, chuyển,
        그만두*, 이사*, 바꿨*, छोड़*, शिफ्ट, 不再, 再也, 不住, 不当, 搬, 辞, 换, 換, 卖, 離, 离开, 分手,
        离婚, 去世, 改, 取消, 推迟, 引っ越, やめ, 売, 替え, 変え, 変わ, 移, 別れ, 離婚, 亡くな""",
    "self": """i, im, ive, me, my, mine, myself, we, us, our, ours, ich, mich, mir, mein*, wir, uns, unser*, yo, mi,
        mis, nos, nuestr*, je, j, moi, mon, ma, mes, nous, notre, on, io, mio, mia, miei, noi, nostr*, eu,
        meu, minha, meus, nós, nosso, я, мне, меня, мой, моя, мои, моё, мое, мою, моего, моей, моему, моим, моих,
        мною, мной, мы, нас, нам, наш*, мені, мене, мій, моє, ми, ben,
        beni, bana, benim, biz, bizim, أنا, نحن, عندي, ik, mij, mijn, wij, ons, ja, mnie, mój, moja, moje,
        nasz*, jag, mig, min, mitt, vi, vår, tôi, mình, 저, 저는, 나, 나는, 제, 내, 우리, मैं, मेरा, मेरी,
        मेरे, हम, हमारा, 我, 咱, 俺, 私, 僕, うち""",
    "other": """sister*, sis, brother*, mother*, mom, mum, mam, father, dad, wife, husband, son, daughter*,
        girlfriend, boyfriend, aunt, auntie, uncle, cousin*, nan, nana, gran, grandma, granddad, grandpa,
        grandmother, grandfather, niece, nephew, roommate*, flatmate*, housemate*, neighbor*, neighbour*,
        boss, manager, mate, fiancé*, colleague*, coworker*, friend*, in-law*, teacher*, landlord, plumber,
        vet, coach, kid, kids, child*, parents, everyone, everybody, someone, somebody, people, himself, lad,
        guy, bloke, next door, schwester*, bruder*, mutter*, mama, vater*, papa, frau, sohn, tochter*,
        freund*, tante, onkel, oma, opa, nachbar*, chef*, kolleg*, schwieger*, hermana, hermano, madre,
        padre, hijo, hija, novio, novia, amig*, tía, tío, primo, prima, abuel*, vecin*, jefe, jefa, marido,
        mujer, suegr*, compañer*, sœur, frère, mère, père, fils, fille, mari, femme, copain, copine, ami,
        amie, amis, oncle, voisin*, patron, collègue*, beau, belle, grand, sorella, fratello, figlio, figlia,
        marito, moglie, amico, amica, zia, zio, cugin*, nonn*, vicin*, capo, collega, suocer*, irmão, irmã,
        mãe, pai, filho, filha, namorad*, vizinh*, chefe, avó, avô, tia, tio, sogr*, сестр*, брат*, мам*,
        пап*, муж*, жена, жену, жены, сын*, доч*, подруг*, друг*, тёт*, дяд*, бабушк*, сосед*, начальник*,
        коллег*, тёщ*, свекр*, kardeş*, abi, abim, ablam, annem, babam, eşim, oğlum, kızım, arkadaş*, teyze*,
        amca*, kuzen*, komşu*, patron*, kayın*, أختي, أخي, أمي, أبي, زوجي, زوجتي, ابني, ابنتي, صديق*, عمي,
        خالتي, جار*, مدير*, حماتي, zus, broer, moeder, vriend*, buur*, baas, siostra, brat, matka, ojciec,
        mąż, żona, syn, córka, przyjaci*, sąsiad*, szef*, syster, bror, mamma, pappa, vän, granne, em gái,
        anh trai, mẹ, bố, chồng, vợ, 동생*, 오빠*, 언니*, 엄마*, 아빠*, 친구*, बहन, भाई, माँ, पिता, दोस्त,
        姐, 妹, 哥, 弟, 妈, 媽, 爸, 老公, 老婆, 丈夫, 妻, 儿子, 女儿, 朋友, 同事, 邻居, 老板, 表, 姨, 叔,
        奶奶, 爷, 父, 母, 姉, 兄, 夫, 息子, 娘, 友達, 同僚, 隣, 上司, いとこ""",
    "they": """he, she, they, his, her, their, him, them, er, sie, sein, seine, ihr, ihre, él, ella, ellos, su, sus,
        il, elle, ils, lui, lei, loro, suo, sua, ele, ela, dele, dela, он, она, они, его, её, их, هو, هي,
        onun, onlar, hij, zij, haar, jego, jej, han, hon, anh ấy, वह, उसका, 他, 她, 彼, 彼女""",
    "wish": """would, wouldn, could, might, may, maybe, perhaps, if, wish*, hope, hoping, dream*, imagine, should,
        want*, love to, like to, kill for, thinking of, thinking about, considering, planning to, applied,
        apply, offered, nearly, almost, tempted, fancy, some day, someday, one day, pictured, fantas*,
        eventually, würde*, möchte*, vielleicht, wenn, wünsch*, könnte, sollte*, träum*, wäre, gustaría,
        encantaría, quizá*, ojalá, quisiera, sueño, aimerais, voudrais, peut être, rêve, pourrais, vorrei,
        piacerebbe, forse, sogno, magari, gostaria, queria, talvez, sonho, хотел*, бы, может, мечта*, если,
        isterdim, belki, keşke, hayal, أتمنى, ربما, لو, أريد, zou, misschien, graag, chciał*, może, gdyby,
        skulle, kanske, muốn, ước, 싶다, 싶어, काश, 想, 要是, 如果, 希望, 也许, 可能, 梦, たい, もし, かも,
        いつか, 夢""",
    "past": """used to, years ago, back when, back in, back then, as a kid, as a child, as a boy, as a girl,
        as a teenager, when i was, once, last year, last summer, last winter, last time, at school, at uni,
        at university, old days, my first, growing up, grew up, before that, before this, before all,
        decades, ago, in my twenties, early on, früher, damals, als kind, als ich, antes, de niño, de niña,
        cuando era, hace años, autrefois, quand j, il y a, avant, da bambino, da bambina, quando ero,
        anni fa, quando era, anos atrás, antigamente, раньше, в детстве, назад, eskiden, çocukken, önce, كنت,
        قديما, vroeger, kiedyś, förr, ngày xưa, 예전에, 어렸을, पहले, बचपन, 以前, 小时候, 曾, 当年, 昔,
        子供の""",
    "while": """for the week, for the weekend, for the summer, for the winter, for the day, for the night, for now,
        for today, for a week, for a month, for a bit, for a while, this weekend, this week, until, till,
        tonight, temporar*, visit*, staying at, staying with, covering for, filling in, standing in,
        on holiday, on vacation, on leave, borrow*, rented, lent, just once, only, also, too, as well,
        second, another, besides, on the side, both, weekends, over christmas, while, in the meantime,
        helping out, bis, vorübergehend, auch, urlaub, wochenende, solange, hasta, también, mientras,
        vacaciones, fin de semana, jusqu*, aussi, pendant, vacances, week end, fino a, anche, mentre,
        vacanza, até, também, enquanto, férias, пока, тоже, отпуск*, выходные, kadar, tatil*, ayrıca, حتى,
        أيضا, عطلة, tot, ook, vakantie, też, urlop*, också, semester, cũng, 暂时, 旅行, 出差, 也, 直到, 临时,
        しばらく, まで""",
}
KINDS = tuple(TABLE)
_OTHER = KINDS.index("other")


@dataclass(frozen=True, slots=True)
class Told:
    """What the words of a text show."""

    cues: tuple[int, ...]  # of each of `KINDS`, 3 at most
    opening: tuple[bool, ...]  # whether its first words have one, by `KINDS`
    people: frozenset[str]  # the words for other people
    words: tuple[str, ...]
    terms: frozenset[str]  # without function words
    asks: bool  # it is a question, or asks an assistant to do something
    did: bool  # begins with a verb of the past: who does it is the speaker
    of_named: bool  # begins with somebody's name
    numbers: bool


def read_telling(text: str) -> Told:
    """Return what the first words of a text show. About 30 us."""
    text = text[:READ]
    words = tuple(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
    found, opening, people = [0] * len(KINDS), [False] * len(KINDS), set[str]()
    for i, cue, kinds in _found(words):
        for kind in kinds:
            found[kind] += 1
            opening[kind] |= i < OPENING
            if kind == _OTHER:
                people.add(cue)
    return Told(
        cues=tuple(min(n, MOST) for n in found),
        opening=tuple(opening),
        people=frozenset(people),
        words=words,
        terms=frozenset(terms(text)) - stop_terms(),
        asks=any(mark in text for mark in "?\uff1f\u061f") or is_request(text),
        did=_DID.match(text.strip().lower()) is not None,
        of_named=_OF_NAMED.match(text) is not None,
        numbers=any(c.isdigit() for c in text),
    )


def _found(words: Sequence[str]) -> Iterator[tuple[int, str, tuple[int, ...]]]:
    """Yield each cue: the number of its first word, itself as the table has it, and its kinds."""
    whole, begins, phrases = _tables()
    for i, word in enumerate(words):
        if word in whole:
            yield i, word, whole[word]
        if word in phrases:
            for n in phrases[word]:
                if (phrase := " ".join(words[i : i + n])) in whole:
                    yield i, phrase, whole[phrase]
        if word[:2] in begins:
            for stem, kinds in begins[word[:2]]:
                if word.startswith(stem):
                    yield i, stem, kinds
        if "\u3040" <= word[0] <= "\u9fff":
            for j in range(len(word)):
                for n in range(1, LONGEST + 1):
                    if n < len(word) and j + n <= len(word) and (part := word[j : j + n]) in whole:
                        yield i + j, part, whole[part]


Kinds = tuple[int, ...]


@cache
def _tables() -> tuple[dict[str, Kinds], dict[str, list[tuple[str, Kinds]]], dict[str, list[int]]]:
    """Return the kinds of each word or phrase, those of beginnings by two letters, and how long phrases with a first word are."""
    whole, stems = dict[str, Kinds](), dict[str, Kinds]()
    for kind, words in enumerate(TABLE.values()):
        for word in sorted({" ".join(w.casefold().split()) for w in words.split(",")} - {""}):
            table, key = (stems, word[:-1]) if word.endswith("*") else (whole, word)
            table[key] = (*table.get(key, ()), kind)
    begins, phrases = dict[str, list[tuple[str, Kinds]]](), dict[str, set[int]]()
    for stem, kinds in stems.items():
        begins.setdefault(stem[:2], []).append((stem, kinds))
    for phrase in whole:
        first, *rest = phrase.split()
        if rest:
            phrases.setdefault(first, set()).add(1 + len(rest))
    return whole, begins, {first: sorted(lengths) for first, lengths in phrases.items()}
