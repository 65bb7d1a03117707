"""Han, kana and Thai, where a dictionary's words are not enough: names that go on, kana that belong to the word before."""

from __future__ import annotations

import re

from mnemos.index.segment import words

_HAN = re.compile("[\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_HIRAGANA = re.compile("[\u3041-\u3096\u309d\u309e]")
_GOES_ON = frozenset("ぁぃぅぇぉっゃゅょゎんー")  # no word begins so
_PARTICLES = frozenset("はがをにへとでものやかねよなぞだ")  # the words of one kana that follow a noun
_SURNAMES = frozenset(
    "王李张張刘劉陈陳杨楊黄黃赵趙吴吳周徐孙孫马馬朱胡郭何林高罗羅郑鄭梁谢謝宋唐许許韩韓邓鄧冯馮曹彭曾肖萧蕭田董潘袁蔡蒋蔣余于"
    "杜叶葉程魏苏蘇吕呂丁任卢盧姚沈钟鍾姜崔谭譚陆陸范汪廖石金韦韋贾賈夏付傅方邹鄒熊白孟秦邱侯江尹薛闫閻段雷龙龍黎史陶贺賀毛郝顾"
    "顧龚龔邵万萬覃武钱錢戴严嚴莫孔向汤湯温章施柯欧歐阮"
)
_SURNAMES_OF_TWO = (
    "欧阳",
    "歐陽",
    "司马",
    "司馬",
    "上官",
    "诸葛",
    "諸葛",
    "司徒",
    "皇甫",
    "尉迟",
    "慕容",
    "令狐",
    "东方",
    "西门",
)
# characters that end given names, and hardly ever stand alone after a name otherwise
_GIVEN = frozenset(
    "伟偉刚剛毅俊峰军軍东東辉輝永健世志义義兴興良海山仁波贵貴福龙龍元国國胜祥才武新利清彬富顺順杰傑涛濤昌成康星光天达達安岩茂"
    "林坚堅彪博诚誠敬震振壮邦承绍紹功松善厚庆慶磊民友裕河哲江超浩亮政谦謙亨奇固翰朗伯宏若鸣鳴朋斌梁栋棟维維启克伦倫翔旭鹏鵬"
    "泽澤晨辰士建树樹炎德泰盛雄琛钧鈞冠腾騰楠榕航弘明华華文平强強秀娟英慧巧雅芝玉萍红紅娥玲芬芳燕彩春菊兰蘭凤鳳洁潔梅琳素云雲莲"
    "蓮环環雪荣榮霞香莺媛艳豔瑞凡佳嘉琼瓊珍贞貞桂娣璧璐娅琦晶妍茜秋珊莎锦錦黛青倩婷姣婉娴嫻瑾颖穎露瑶瑤怡婵雁蓓仪儀荷丹蓉眉君琴"
    "蕊薇菁梦夢岚嵐苑婕馨瑗琰韵韻融园艺藝卿聪聰澜瀾纯純毓悦悅昭冰琬茗羽希欣滢馥筠柔竹霭晓曉霄枫楓芸菲伊亚亞宜姬舒影荔枝丽麗莉"
    "娜静靜敏淑惠美静莹瑩琪宁寧轩軒涵梓豪宇航睿诗詩彤妮雯蕾洋凯凱帆凌霖勇根生宝寶喜斯尔爾丰飞阳陽雨月珠钰鈺鑫博文熙懿烨煜城琦煊楷"
    "炫宸浩然驰锋鋒珂璇琴瑜珺筱"
)


_COUNTED = frozenset(  # measure words with the nouns of one character that they count
    re.findall(
        "..",
        "朵花朵云棵树棵草株花株草条鱼条狗条河条路條魚條河只鸡只鸟只手只猫隻雞隻鳥本书本書匹马匹馬头牛头猪頭牛座山"
        "座桥口井辆车輛車杯水杯茶间房把刀把伞张纸张床張紙位人个人個人家店块地块肉颗心滴水场雨场雪片海",
    )
)
_THAI_STARTS = frozenset({"วิ", "ปริ", "อภิ", "อนุ", "อติ", "ปิ", "สิริ", "ศรี", "สม"})
_THAI_ENDS = frozenset(
    re.findall(
        r"\S+",
        "รัตน์ วรรณ มาศ ลักษณ์ พันธ์ พันธุ์ ศักดิ์ วัฒน์ กุล วดี ณี นุช ภรณ์ วิทย์ เดช ฤทธิ์ วงศ์ พงษ์ พงศ์ ภัทร รักษ์ ศิริ ภา "
        "ทัย ทิพย์ ประภา นันท์ กาญจน์ สินี ชัย ชาย รัตนา มณี",
    )
)
_HAN_RUN = re.compile(f"(?:{_HAN.pattern})+")
_HAN_RUN_BEFORE = re.compile(f"(?:{_HAN.pattern})+$")
WINDOW = 12  # characters on each side that are cut into words again


def longer_name(text: str, start: int, end: int, following: tuple[int, int] | None) -> bool:
    """Tell whether text[start:end] ends in a Chinese surname and one character, and another of a given name follows.

    王伟 in 王伟明 is another person; 王伟 in 王伟来了 is not. `following` is the word that covers `end`.
    """
    if following is None or following != (end, end + 1) or end - start < 2:
        return False
    last, further = text[end - 1], text[end]
    if not (_HAN.match(last) and _HAN.match(further) and (further in _GIVEN or further == last)):
        return False
    run = _HAN_RUN_BEFORE.search(text[start:end])
    name = run[0] if run else ""
    return (len(name) == 2 and name[0] in _SURNAMES) or (len(name) == 3 and name.startswith(_SURNAMES_OF_TWO))


def straddled(text: str, start: int, end: int) -> bool:
    """Tell whether both characters of a word of two may belong to the words beside it: 南京 in 江南京剧团.

    They do when cutting between them gives words too, and no more of them, or when a measure word claims the first.
    """
    if end - start != 2 or start == 0 or end == len(text) or not _HAN.match(text, end):
        return False
    first, last = _HAN_RUN.match(text, start), _HAN_RUN_BEFORE.search(text[max(0, start - WINDOW) : start])
    if first is None or last is None:
        return False
    head, tail = last[0], text[start : min(first.end(), end + WINDOW)]
    if text[start - 1 : start + 1] in _COUNTED and len(words(text[end - 1 : end + 1])) == 1:
        return True
    if len(words(text[start - 1 : start + 1])) > 1 or len(words(text[end - 1 : end + 1])) > 1:
        return False
    return len(words(head + tail[0])) + len(words(tail[1:])) <= len(words(head)) + 1 + len(words(tail[2:]))


def counted(text: str, start: int, at: int) -> bool:
    """Tell whether what stands before a place in a word is only the measure word of what follows: 朵 in 一朵花."""
    return _HAN.match(text, at) is not None and text[at - 1 : at + 1] in _COUNTED and at - start <= 2


def takes_kana(last: str, tail: str) -> bool:
    """Tell whether the rest of a word is one particle after Han, which the dictionary has as one word: 時に."""
    return len(tail) == 1 and tail in _PARTICLES and _HAN.match(last) is not None


def thai_name_goes_on(text: str, before: tuple[int, int] | None, following: tuple[int, int] | None) -> bool:
    """Tell whether what the dictionary cut off beside a Thai word is only ever a part of a name: รัตน์ in สุดารัตน์."""
    return bool(
        (before and text[slice(*before)] in _THAI_STARTS) or (following and text[slice(*following)] in _THAI_ENDS)
    )


def breaks_kana(last: str, text: str, following: tuple[int, int] | None) -> bool:
    """Tell whether the hiragana that follow Han or hiragana still belong to the word: 行 in 行った."""
    if following is None:
        return False
    start, end = following
    if not _HIRAGANA.match(text[start]) or not (_HAN.match(last) or _HIRAGANA.match(last)):
        return False
    return text[start] in _GOES_ON or (end - start == 1 and text[start] not in _PARTICLES)
