"""Korean particles: what may be written to a noun, and the nouns that only look like one with a particle."""

from __future__ import annotations

import re

# by whether the syllable before them ends in a vowel; those in the second group may be followed by more
_VOWEL = ("는|가|를|야|여|든지|며|면|고|지만|니까|예요|여서|죠|네요", "와|로|랑|나|라도|라고|라는|란")
_CONSONANT = (
    "은|이|을|아|이여|이든지|이며|이면|이고|이지만|이니까|이에요|이어서|이죠|이네요",
    "과|으로|이랑|이나|이라도|이라고|이라는|이란",
)
_ANY = (
    "의|도|조차|마저|밖에|뿐|커녕|인데|입니다|입니까|이다|이에요|예요",
    "에|에서|에게|에게서|한테|한테서|께|께서|하고|만|까지|부터|마다|보다|처럼|같이|만큼|대로|로서|으로서|로써|으로써",
)
_THEN = "는|은|도|만|의|까지|부터|요|나|밖에|조차|마저|보다|이|가|을|를"
_PAST = "(?:었|였)[가-힣]{1,3}"
_HANGUL = re.compile("[가-힣]+")
_HANGUL_BEFORE = re.compile("[가-힣]+$")
LONGEST = 8  # syllables before an edge that are read


def _particles(*groups: tuple[str, str], more: str) -> re.Pattern[str]:
    last, chained = ("|".join(part) for part in zip(*groups, strict=True))
    return re.compile(f"(?:{last}|(?:{chained})(?:{_THEN}){{0,2}}|{more})")


_AFTER_VOWEL = _particles(_ANY, _VOWEL, more=_PAST)
_AFTER_CONSONANT = _particles(_ANY, _CONSONANT, more=f"이{_PAST}")
_AFTER_RIEUL = _particles(_ANY, _CONSONANT, ("로", "로"), more=f"이{_PAST}")
_AFTER_OTHERS = _particles(_ANY, _VOWEL, _CONSONANT, more=f"이?{_PAST}")  # digits, Latin letters, signs

# nouns that are another noun with a particle by their looks: 제주도 is an island, 강의 a lecture
_NOUNS = frozenset(
    re.findall(
        r"\S+",
        "제주도 경기도 강원도 충청도 전라도 경상도 황해도 평안도 함경도 거제도 울릉도 강화도 완도 진도 독도 여의도 "
        "강의 강도 파도 지도 수도 기도 태도 속도 온도 각도 인도 차도 철도 제도 정도 의도 시도 포도 용도 고도 밀도 한도 "
        "회의 주의 정의 의의 거의 동의 문의 논의 항의 사의 호의 합의 결의 "
        "사과 효과 결과 치과 내과 외과 안과 학과 성과 경과 통과 초과 과로 진로 통로 도로 피로 미로 가로 세로 경로 항로 "
        "국가 휴가 작가 화가 평가 증가 물가 여가 원가 고가 단가 주가 참가 추가 허가 인가 가을 마을 노을 고을 "
        "나이 아이 오이 차이 사이 종이 놀이 길이 높이 깊이 넓이 먹이 누이 맏이 송이 고양이 호랑이 원숭이 거북이 달팽이 "
        "올챙이 지렁이 부엉이 어린이 젊은이 늙은이 지팡이 목걸이 귀걸이 손잡이 곰팡이 떡볶이 구덩이 웅덩이 엉덩이 쌍둥이 "
        "멋쟁이 방망이 알맹이 냉이 비만 불만 대만 교만 거만 그만 자만 낭만 사랑 자랑 신랑 노랑 파랑 화랑 "
        "여야 분야 시야 심야 광야 누나 하나 보고 신고 광고 창고 최고 사고 재고 참고 경고 냉장고 금고 수고 원고 "
        "기와 마음씨 아가씨 아저씨",
    )
)


def is_hangul(c: str) -> bool:
    """Tell whether a character is a Korean syllable."""
    return "가" <= c <= "힣"


def particle(text: str, at: int) -> bool:
    """Tell whether the Korean syllables at a place are particles of the word that ends before it.

    The -이 of names that end in a consonant may come first, and 씨: 지훈이가, 지훈씨는. 고양이 is no 고양
    with a particle: it is a cat.
    """
    run = _HANGUL.match(text, at)
    if run is None:
        return True
    last = text[at - 1]
    if not is_hangul(last):
        return _AFTER_OTHERS.fullmatch(run[0]) is not None
    before = _HANGUL_BEFORE.search(text[max(0, at - LONGEST) : at])
    word = before[0] if before else ""
    if any(word + run[0][:i] in _NOUNS for i in range(1, len(run[0]) + 1)):
        return False
    final = (ord(last) - ord("가")) % 28  # the consonant that ends the syllable: 0 is none, 8 is ㄹ
    allowed = _AFTER_RIEUL if final == 8 else _AFTER_CONSONANT if final else _AFTER_VOWEL
    if allowed.fullmatch(run[0]):
        return True
    more = run[0][1:]  # after the 이 of a name, or the 씨 of a person
    return len(word) > 1 and bool(
        (final and run[0][0] == "이" and _AFTER_VOWEL.fullmatch(more))
        or (run[0][0] == "씨" and (not more or _AFTER_VOWEL.fullmatch(more)))
    )
