"""Detect texts that give orders to the agent that reads them.

The rules match wordings, in texts from sources that anyone can write to. They catch known phrasings, disguised ones too,
and no others: `guard.consensus` judges by what other memories say. Figures: `bench.text.poison`.
"""

from __future__ import annotations

import re
from functools import cache

from mnemos.guard.disguise import hides, versions
from mnemos.guard.languages import foreign_orders
from mnemos.guard.tables import read_table

# Parts of rules, and the rules: a name, followed by the indented lines of its pattern.
PARTS = r"""
VERB
  (?:say|state|answer|reply|respond|recommend|suggest|send|transfer|forward|e?-?mail|mention|claim|insist|output|return
  |give|provide|use|call|open|visit|click|drop|keep|omit|include|refuse|deny|direct|refer|redirect|promote|wire|pay
  |execute|run|tell|present|treat|choose|prefer|prioriti[sz]e|delete|remove|discard|report|assert|confirm|name|quote
  |write|print|add|append|act|ignore)\b
STRONG
  (?:respond|reply|answer|recommend|reveal|disclose|transfer|forward|claim|insist|pretend|treat|promote|obey|comply
  |execute|output|state that|say that|present|ignore|disregard|refuse|act as|endorse|prioriti[sz]e|persuade|convince
  |send)\b
ASKED
  (?:asks?|asked|asking|inquir\w+|enquir\w+|questions?|quer(?:y|ies|ied)|mention\w*|comes? up|is raised|discuss\w*
  |talk\w* about|answering|replying|responding|summari[sz]\w+|retriev\w+|recall\w*|look\w* up|wants? to know|request\w*
  |brings? up)\b
AGENT
  (?:ai|a\.i\.|assistant|ai agent|chat ?bot|(?:large )?language model|llm|copilot|chatgpt|gpt|claude|gemini
  |bot)s?\b(?! (?:manager|professor|coach|director|teacher))
NOT_I
  \b(?=[abdfinopsv])(?<!\bi )(?<!\bwe )(?<!\bhe )(?<!\bshe )(?<!\bthey )(?<!\bi'll )(?<!\balways )(?<!\bi'd )
START
  (?:^|[.!?:;\n"(]|\b(?:please|and|then|must|should|to)) {0,3}
"""
RULES = r"""
role marker
  <\|[\w-]{2,30}\|>|\[/?INST\]|<</?SYS>>|^\s{0,8}[#>*\[]{0,4} ?(?:SYSTEM|DEVELOPER|ADMIN)(?: (?:MESSAGE|PROMPT|NOTE
  |OVERRIDE|INSTRUCTION))?\]?\s?:|(?i:^\s{0,8}system\s?(?:message|prompt)?\s?: ?[^\n]{0,60}\b(?:you|override|ignore
  |must|answer|respond|instruct\w+|prompt)\b)|(?i:^\s{0,8}#{2,5} ?(?:(?:new |updated )?instruction|system(?: prompt
  | message)?)\s?(?::|$)|<\W{0,4}(?:system|instructions?|prompt|sys|admin|assistant|memor(?:y|ies)|records?|context|untrusted)
  (?:[_-]?\w+)?\W{0,3}>)|(?i:"role"\s?:\s?"(?:system|developer|assistant)")|(?i:"(?:memory_?id|record_?id)"\s?:)
  |(?i:^\W{0,3}\[(?:system|assistant|user|human|model|developer)\]\s?:?)
  |(?i:\[\s?(?:memory|record|fact|system|trusted)\b[^\]\n]{0,80}[=:][^\]\n]{0,80}\])
  |(?m:^\s{0,4}\[[^\]\n]{1,60}\] ?\d{4}-\d\d-\d\d[^|\n]{0,30}\|[^|\n]{0,60}\|)
tool call
  </?(?:tool_?calls?|function_?calls?|tool_use|tool_code|invoke|tool_response|function_results?)\b|"(?:tool|function
  |name|tool_name|action)"\s?:\s?"[^"]{1,60}"\s?,\s?"(?:arguments|parameters|args|input|action_input)"|\b(?:call|invoke
  |execute|trigger) (?:the |your )?[\w.]{2,30} (?:tool|function|plugin|command)\b|\buse (?:the|your) (?:browser|e-?mail
  |search|file|memory|payment|shell|http) tool\b
override
  {NOT_I}\b(?:ignore|disregard|forget|override|bypass|neglect|discard|set aside|pay no (?:attention|heed) to|do(?: not
  |n't) follow|stop following|abandon|drop|void)\b[^.!?\n]{0,40}\b(?:previous|prior|above|earlier|preceding|existing
  |former|all|your|other|these|initial|original|safety|system|past|any)\b[^.!?\n]{0,30}\b(?:instruction|prompt|rule
  |guideline|direction|directive|command|guidance|polic(?:y|ies)|constraint|programming|training|order|restriction
  |safeguard)s?\b|{NOT_I}\b(?:ignore|disregard|forget) (?:whatever|everything|anything|all
  |what)\b[^.!?\n]{0,30}\b(?:you|told|above|before|said|instructed|learn\w*)\b|\b(?:previous|prior|earlier|existing
  |your) (?:instructions?|guidance|rules|guidelines|directives|prompts?)\b[^.!?\n]{0,40}\b(?:void|invalid|revoked
  |cancell?ed|overridden|superseded|obsolete|no longer apply)
  |\boverride (?:active|enabled|engaged|accepted)\b
  |\b(?:ignore|disregard|forget) (?:the|these|those|all) (?:rules?|instructions?|guidelines?|prompts?|text) (?:above|before)\b
system prompt
  \b(?:reveal|print|show|repeat|output|leak|disclose|tell|display|quote|give)\b[^.!?\n]{0,30}\b(?:system|hidden|initial
  |secret|developer) (?:prompt|instruction|message)s?\b|\byour (?:system|hidden|initial|developer) (?:prompt
  |instruction|message)s?\b
address to the agent
  \b(?:dear|attention|note|message|notice|instructions?|important|memo|hint|hey|hello|hi|reminder
  |directive)\b,?(?: (?:to|for|all|any|every|the|of|this))* {AGENT}|\b(?:ai|assistant|chatbot|language model|llm|bot
  |(?<!estate )(?<!travel )(?<!insurance )(?<!my )(?<!our )(?<!her )(?<!his )(?<!sales )(?<!rental )agent)s?\b
  (?! (?:coach|manager|professor|director))
  [^.!?\n]{0,30}\b(?:must|should|shall|ha(?:s|ve) to|needs? to|(?:is|are) (?:required |instructed |expected )?to|will
  |always|never)\b (?:\w+ ){0,2}?{STRONG}|^\s{0,4}(?:ai|assistant|chatbot|llm|agent)s?\s?[,:] ?(?:you|please|always
  |never|ignore|from now)\b|\bif you(?:'re| are| happen to be| were) (?:an? |the |any )?(?:\w+ )?{AGENT}
  (?= (?:read|see|process|summari|pars|and |who |that )|[,:])
order
  \byou (?:must|shall|will|are (?:now )?(?:required |instructed |obliged |expected |ordered )?to|have to
  |should)(?: (?:now|always|never|only|not|henceforth|from now on)){0,3} {STRONG}(?! (?:to )?(?:him|her|them|me|us|my
  |his)\b)|\b(?:from now on|henceforth|from this point on|going forward)\b[^.!?\n]{0,24}\b(?:{STRONG}|never mention
  |always say|always use)|\byour (?:new |only |real |true |next )(?:task|goal|objective|instructions?|directive|mission
  |purpose|persona|identity)\b[^.!?\n]{0,20}(?:\b(?:is|are)\b|:)|\b(?:persuade|convince|trick|mislead|manipulate
  |deceive) (?:the |every |any )?(?:user|reader|human|customer|owner)s?\b|\bmust be (?:given|answered|stated|presented
  |reported|described|treated|cited|named) as\b|\bbefore (?:you )?(?:replying|answering|responding)\b
persona
  \b(?:you are now|you're now|act as|pretend (?:to be|you are|that you are)|role-?play as|behave (?:as
  |like))\b[^.!?\n]{0,50}\b(?:unrestricted|unfiltered|restrictions|dan|jail\w+|assistant|ai|chatbot|helper|bot|model
  |admin\w*|root|limits|rules)\b|\b(?:developer|debug|god|dan|maintenance|admin) mode\b[^.!?\n]{0,20}\b(?:on|enabled
  |active\w*|engaged|unlocked)\b|\bjailbreak (?:mode|prompt)\b
trigger
  \b(?:when(?:ever)?|if|once|each time|every time|any ?time|as soon as|in case|before
  |should)\b[^.!?\n]{0,60}\b{ASKED}[^.!?\n]{0,70}?(?:[,:;]|\bthen\b
  |-)\s?(?:please |always |only |just |simply |immediately |silently |you (?:must|should|will|shall
  |are to) |do not )*(?:{VERB}|the only|your answer)(?! (?:her|him|them)\b)
  |{START}(?:always |only |silently )?{VERB}[^.!?\n]{0,80}\b(?:each time|every time|any ?time|whenever|when
  |if)\b[^.!?\n]{0,40}\b(?:asked|asks|mentioned|comes? up|inquir\w+|quer(?:y|ied)|questioned|is raised)\b|\b(?:all|any
  |every|each) (?:question|quer|inquir|enquir|request)\w*\b[^.!?\n]{0,60}\b(?:gets?|receives?|must|should|shall|(?:is
  |are|be) (?:to be )?answered|be met)\b|\bthe only (?:\w+ )?(?:answer|reply|response)\b|\b(?:reply|respond
  |answer) (?:only )?with\b[^.!?\n]{0,60}\b(?:and nothing else|only|every time)\b
concealment
  \b(?:do not|don't|never|without)\b (?:\w+ )?(?:tell|mention|reveal|disclos|inform|notify|show|alert|let
  |report)\w*\b[^.!?\n]{0,40}\b(?:users?|human|operator|this (?:note|message|instruction|memory|text|rule|prompt
  |entry))\b|\b(?:hide|keep|conceal)\b[^.!?\n]{0,40}\bfrom (?:the |your )?(?:user|human|operator)s?\b|\b(?:silently
  |secretly|covertly|quietly) {VERB}
exfiltration
  !\[[^\]\n]{0,200}\]\(\s?https?://[^)\s]{0,300}[?=]|{START}(?:silently )?(?:send|forward|post|upload|transmit
  |exfiltrate|submit|leak|copy)\b[^\n]{0,80}\bto:? {0,3}(?:https?|ftp)://|\b(?:send|forward|post|upload|e?-?mail
  |transmit|exfiltrate|submit|leak|copy)\b[^.!?\n]{0,40}\b(?:conversations?|chat (?:history|logs?)|memor(?:y|ies)
  |passwords?|credentials?|api keys?|transcripts?|user data|user's \w+)\b[^\n]{0,40}\bto\b[^\n]{0,24}(?:://|@|\w\.\w)
orders in Spanish
  \b(?:ignor|olvid|omit|descart|desestim)[aei]\w{0,3}\b[^.!?\n]{0,40}\b(?:instruccion|indicacion|orden|regla
  |directri)\w*|\b(?:cuando|si|cada vez que|siempre que)\b[^.!?\n]{0,50}\b(?:pregunt|mencion|consult
  |habl)\w*[^.!?\n]{0,50}\b(?:responde|contesta|di|diga|recomienda|envia|transfiere|afirma)\b
  |\ba partir de ahora\b[^.!?\n]{0,20}\b(?:eres|debes|responde\w*|seras|diras)\b|\bno (?:se )?lo (?:digas|reveles
  |menciones) al usuario\b|\bprompt del sistema\b
orders in French
  \b(?:ignore|oublie|neglige|fais abstraction|ne tiens? (?:pas|aucun) compte)\w{0,2}\b[^.!?\n]{0,40}\b(?:instruction
  |consigne|directive|regle|ordre)s?\b|\b(?:quand|lorsqu\w+|si|chaque fois)\b[^.!?\n]{0,50}\b(?:demand|interrog
  |mentionn|parl|question)\w*[^.!?\n]{0,60}\b(?:repond(?:s|ez)|dis|dites|recommande\w*|envoie|envoyez|affirme\w*)\b
  |\b(?:repond(?:s|ez)|dites|recommande[zr]?|envoyez|affirme[zr]?)\b[^.!?\n]{0,60}\b(?:quand|lorsqu\w+
  |chaque fois)\b[^.!?\n]{0,40}\b(?:demand|parl|mentionn|question)\w*|\bdesormais,? (?:tu|vous) (?:dois|devez|es|etes
  |repond\w+)\b|\bne (?:le )?(?:dis|dites|mentionne\w*) (?:pas|rien) a l'utilisateur\b
orders in German
  \b(?:ignorier|vergiss|vergesst|missacht|uberspring|verwirf)\w*\b[^.!?\n]{0,50}\b(?:anweisung|instruktion|regel
  |vorgabe|befehl|richtlinie|prompt)\w*|\b(?:wenn|falls|sobald|bei fragen)\b[^.!?\n]{0,60}\b(?:frag|erwahn|zu|nach
  |uber)\w*\b[^.!?\n]{0,60}\b(?:antworte|sage?|empfiehl|sende|schicke|uberweise|behaupte|nenne)\b|\bab (?:jetzt
  |sofort)\b[^.!?\n]{0,24}\b(?:antworte|bist du|musst du|sollst du|wirst du)\b|\b(?:sage?|verrate
  |erzahle) (?:es |das |dies )?dem (?:be)?nutzer (?:nichts|nicht)\b
orders in Chinese
  (?:忽略|无视|無視|忘记|忘記|忘掉|忽视|不要理会|不理会)[^。!?\n]{0,20}(?:指令|指示|提示|规则|規則|要求|说明|說明|命令)
  |(?:当|當|如果|若|每当|一旦)[^。\n]{0,25}(?:问|問|提到|提及|询问|詢問|谈到|談到)[^。\n]{0,30}(?:回答|回复|回覆|说|說
  |推荐|推薦|发送|發送|转账|告诉)|(?:从现在起|从现在开始|從現在起|從現在開始)[^。\n]{0,10}(?:你|必须|必須|只)
  |不要(?:告诉|告訴|告知|让|讓)用[户戶]|系统提示
"""


def looks_like_instructions(text: str) -> str | None:
    """Return the name of the rule that detects orders to an agent in a text, or None. O(characters)."""
    if hides(text):
        return "hidden text"
    for version in versions(text):
        small = version.lower()  # much faster than case-insensitive rules
        for name, pattern in rules():
            if pattern.search(version if name == "role marker" else small):
                return name
        if foreign_orders(small):
            return "orders in another language"
    return None


@cache
def rules() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return the compiled rules by name; all but "role marker" expect lower case. The first call takes tens of ms."""
    parts, found = read_table(PARTS), read_table(RULES)
    for part, words in parts.items():
        found = {name: pattern.replace(f"{{{part}}}", words) for name, pattern in found.items()}
    return tuple((name, re.compile(pattern, re.MULTILINE)) for name, pattern in found.items())
