"""Orders to an agent in languages other than English, by what they are made of and not by their wording.

An order names what is to be ignored, or whom it speaks to, of whom, and what to do. The stems of these are few and known for
each language; a text gives orders when they meet. Compared without accents, as `instructions` reads a text.
"""

from __future__ import annotations

import re
from functools import cache

from mnemos.guard.disguise import as_read

NEAR = 80  # characters between what is to be done and to what

# Spanish, Portuguese, French, Italian, Romanian; German, Dutch, Scandinavian; Slavic; Finnish, Hungarian, Turkish; Greek;
# Arabic, Persian, Urdu, Hebrew; Indic; Thai, Vietnamese, Indonesian, Filipino, Swahili; Japanese, Korean, Chinese.
STEMS = {
    "ignore": """
        ignor olvid descart desestim esquec desconsider oubli neglige abstraction dimentic trascur
        uita vergiss vergess missacht ueberspring uberspring verwirf negeer vergeet glom glem bortse
        zapomn pomin zabudn nevsimej игнорир забуд отброс пренебр ігнору зневаж забрав не\\sслуша
        не\\sобраща не\\sследу ohita unohda huomiotta figyelmen felejts unut yok\\ssay gormezden
        dikkate\\salma αγνοησ ξεχασ تجاهل انس\\s أهمل نادیده فراموش نظر\\sانداز بھول התעלמ התעלם שכח
        अनदेख नज़रअंदाज़ भूल उपेक्षा উপেক্ষা ভুলে புறக்கணி மறந்து విస్మరించ మర్చిపో ਅਣਡਿੱਠ અવગણ
        เพิกเฉย ละเว้น ไม่ต้องสนใจ ลืม bo\\squa quen abaikan lupakan pansinin kalimutan puuza sahau
        無視 忘れ 従わない 무시 잊어 忽略 忽视 忽視 无视 忘记 忘記 忘掉 不要理会 不理会 不要遵 抛弃""",
    "instruction": """
        instruc instrucc indicac indicazion ordenes ordens ordini regla regra regol regole directri
        directiv diretri direttiv consigne ordre regle istruzion reguli instructiun anweisung
        instruktion regel vorgabe befehl richtlinie weisung instructie opdracht aanwijzing anvisning
        instruks polece zasad instrukcj instrukc pokyn pravidl инструкц указани правил команд приказ
        вказівк ohje saanno utasitas szabaly talimat kural komut yonerge οδηγι εντολ κανον تعليمات
        أوامر قواعد توجيه دستور قوانین ہدایات احکام הוראות כללים הנחיות निर्देश नियम आदेश নির্দেশ
        নিয়ম அறிவுறுத்தல் வழிமுறை விதி సూచన ఆదేశ ਹਦਾਇਤ સૂચના คำสั่ง คำแนะนำ กฎ huong\\sdan
        chi\\sdan lenh quy\\stac chi\\sthi instruksi perintah aturan tagubilin utos panuto maagizo
        指示 命令 ルール 規則 プロンプト 지시 명령 규칙 지침 指令 规则 要求 说明 說明 提示词 提示""",
    "agent": """
        asistente assistente assistant assistent asistent asystent avustaj asszisztens asistan
        yardimci yapay\\szeka inteligencia\\sartificial intelligence\\sartificielle
        intelligenza\\sartificiale kunstliche\\sintelligenz kunstmatige sztuczn umel tekoaly
        mesterseges помощник ассистент нейросет искусственн помічник штучн асистент βοηθ τεχνητη
        مساعد الذكاء\\sالاصطناعي دستیار هوش\\sمصنوعی معاون עוזר בינה\\sמלאכותית सहायक एआई कृत्रिम
        সহায়ক கருவி உதவியாளர் సహాయ ผู้ช่วย tro\\sly asisten katulong msaidizi アシスタント 人工知能 어시스턴트
        인공지능 비서 助手 助理 人工智能 机器人 大模型 语言模型 系统提示 系統提示""",
    "user": """
        usuari utilisateur nutzer utilizador utente gebruiker anvandar bruger bruker kayttaj
        uzytkownik uzivatel pouzivatel felhasznalo utilizator kullanici пользовател користувач
        потребител χρηστη مستخدم کاربر صارف משתמש उपयोगकर्ता প্রয়োগ ব্যবহারকারী பயனர் వినియోగదారు
        ผู้ใช้ nguoi\\sdung pengguna mtumiaji 利用者 ユーザー 사용자 用户 用戶 使用者""",
    "henceforth": """
        a\\spartir\\sd desormais dorenavant doravante daqui\\sem d'ora\\sin ab\\sjetzt ab\\ssofort
        von\\snun vanaf\\snu fran\\soch fra\\snu od\\steraz odteraz od\\sted mostantol de\\sacum
        bundan\\ssonra artik с\\sэтого\\sмомента отныне впредь відтепер απο\\sτωρα من\\sالآن
        از\\sاین\\sپس مעכשיו מעתה अब\\sसे এখন\\sথেকে ต่อไปนี้ tu\\sbay\\sgio mulai\\ssekarang
        kuanzia 今後 これから 지금부터 앞으로 从现在 從現在 今后每 每次 всегда\\sкогда siempre\\sque sempre\\sque
        chaque\\sfois jedes\\smal""",
    "act": """
        envi mand revel transf recomiend recomend recommand envoi envoy divulgu sende schick verrat
        uberweis empfiehl invia rivel stuur onthul skicka wyslij przeslij posli odesli kuldd trimite
        gonder yolla ilet onerin отправ перешл раскро сообщ рекоменд надішл передай στειλ αποκαλυψ
        أرسل ارسل اكشف حول\\s ارسال بفرست بھیج שלח גלה भेज बता दिखा পাঠা அனுப்பு పంపు ส่ง โอน gui\\s
        tiet\\slo kirim ungkap padala tuma 送信 送って 教えて 転送 推薦
        보내 알려 전송 추천 发送 發送 发给 转账 轉帳 泄露 推荐 推薦 输出""",
    "conceal": """
        sin\\sdecir no\\slo\\sdigas no\\sdigas sans\\sle\\sdire ne\\sdis\\spas ohne\\sdem
        sag\\sniemand verrate\\sniemand sem\\savisar sem\\sdizer nao\\sdiga senza\\sdir zonder\\s
        zeg\\sniet nie\\smow не\\sговори не\\sсообща ничего\\sне\\sговор soyleme haber\\sverme
        لا\\sتخبر دون\\sإخبار אל\\sתספר बताए\\sबिना मत\\sबता 知らせずに 言わない 伝えない 말하지 알리지 不要告诉 不要告訴 不要让
        別告訴""",
}  # fmt: skip

# A sentence that begins by telling somebody to forget all that was before: "Vergiss alles, was bisher galt".
FORGET = """
    vergiss vergesst vergessen\\ssie ignorier ignoriere ignoriert olvida olvidad olvidate olvidese ignora ignore
    ignorad oublie oubliez ignorez dimentica dimenticate scorda ignorate esquece esqueca esquecam vergeet negeer glem glom
    zapomnij zapomnijcie zignoruj zapomen zapomente забудь забудьте игнорируй игнорируйте забудьмо uita uitati"""
ALL = """
    alles alle al\\shet allt alt todo toda todos lo tout toute tous ce\\squi ce\\sque tutto tutte quanto cio tudo o\\sque wszystk
    vsechno все всё всех усе tot"""
BEFORE = """
    bisher vorher zuvor bislang vorige anterior antes previ preced avant jusqu'ici prima finora fin\\squi voorgaand voorafgaand
    hiervoor eerder tidigare tidligere wczesniej poprzedni dotychczas do\\stej\\spory predchoz dosud ранее раньше предыдущ
    прежн до\\sэтого выше inainte"""
# The same in languages whose verb comes last or has no form of its own: with what was said, or all of it, as its object, since
# "we forgot the old password" tells of something.
ANY_ORDER = (
    r"^\W*(?:请|請|现在|現在|你|您)*(?:忘记|忘掉|忽略|无视|無視|忽視)(?:你|您)?(?:之前|以前|此前|上面|以上|上文|前面)"
    r".{0,4}(?:一切|所有|全部|内容|內容|对话|對話|话|話|指令|指示|提示|要求|规则|規則|设定|設定|说|說|告诉|告訴)",
    r"(?:これまで|今まで|以前|上記|前)の?[^、]{0,10}(?:話|指示|内容|会話|ルール|命令|すべて|全て)[^、]{0,4}"
    r"(?:(?:忘れて|無視して)(?:ください|下さい|くれ|、|$)|忘れろ|無視しろ)",
    r"(?:이전|앞|지금까지|위)(?:의|에)?[^,]{0,30}(?:모든|모두|전부|내용|대화|지시|말)[^,]{0,30}(?:잊어|무시해|무시하)"
    r"(?:라|주세요|줘|세요|십시오|버려)",
    r"(?:onceki|simdiye kadar|daha once)[^,]{0,30}(?:her seyi|hepsini|tumunu|soylenenleri)[^,]{0,10}"
    r"(?:unut|unutun|yok say|yok sayin)(?![a-z])",
)


ENGLISH = re.compile(r"\b(?:the|and|of|to|is|are|your|you|for|with|this|that|it|as|be|not|all|any)\b")
SENTENCE = re.compile(r"[^.!?\n。！？।]+")


def foreign_orders(text: str) -> bool:
    """Tell whether a text, in lower case and without accents, gives orders to an agent in another language than English.

    It says to ignore instructions, or to forget all that was before, or it has at least three of: an agent is addressed, the
    user is spoken of, something is to hold from now on, to be kept from somebody, to be ignored; or two of them and what is
    to be done. O(characters).
    """
    others = [m[0] for m in SENTENCE.finditer(text) if len(ENGLISH.findall(m[0])) < 2]
    rest = ".".join(others)
    found = {name for name, pattern in _patterns().items() if pattern.search(rest)}
    if {"ignore", "instruction"} <= found and _close().search(rest):
        return True
    if any(_forget().search(sentence) for sentence in others):
        return True
    return len(found & {"agent", "user", "henceforth", "conceal", "ignore"}) >= 2 + ("act" not in found)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(_alternatives(stems)) for name, stems in STEMS.items()}


@cache
def _close() -> re.Pattern[str]:
    ignore, instruction = _alternatives(STEMS["ignore"]), _alternatives(STEMS["instruction"])
    return re.compile(
        rf"(?:{ignore})[^.!?\n。]{{0,{NEAR}}}?(?:{instruction})|(?:{instruction})[^.!?\n。]{{0,{NEAR}}}?(?:{ignore})"
    )


@cache
def _forget() -> re.Pattern[str]:
    verbs, what, before = (_alternatives(stems) for stems in (FORGET, ALL, BEFORE))
    # Whole imperatives: other forms of a verb tell what somebody forgot.
    found = [rf"^\W*(?:{verbs})(?![^\W\d_])\W+(?:[^\W\d_]{{1,2}}\s)?(?:{what})[^.!?\n]{{0,{NEAR}}}?(?:{before})"]
    found += [as_read(pattern) for pattern in ANY_ORDER]
    return re.compile("|".join(found))


def _alternatives(stems: str) -> str:
    """Return a pattern of stems: at the start of a word in Latin, Greek and Cyrillic; others put words before it."""
    found = [r"\s".join(as_read(part).lower() for part in stem.split(r"\s")) for stem in stems.split()]
    return "|".join((r"(?<![^\W\d_])" if ord(stem[0]) < 0x0590 else "") + stem for stem in found)
