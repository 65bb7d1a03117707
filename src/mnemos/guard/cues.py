"""What harmful texts are made of: kinds of words that orders to an agent, frauds, bad advice and slander combine.

No cue is bad alone: a manual has imperatives, a bank speaks of PINs, a doctor of doses. What speaks against a text is that
they meet, as `harm` weighs them. English; compared in lower case and without accents, as `disguise.as_read` gives it.
"""

from __future__ import annotations

import re
from functools import cache

from mnemos.guard.tables import read_table

TABLE = r"""
# whom it speaks to, and of whom
agent
  \b(?:ais?|a\.i\.|assistants?|chat ?bots?|bots?|llms?|language models?|models?|agents?|copilots?|automated
  |ai readers?|helper|whoever (?:summari[sz]es|processes|reads|answers))\b|machine readers?
  |anything that (?:indexes|reads)|program that reads|scrapers?
user as other
  \b(?:the|your) (?:user|customer|owner|operator|human|reader|client|account holder|person you)(?:'s|s)?\b
  |\bthe (?:user|owner) (?:would like|agreed|has already|wishes)
meta
  \b(?:instructions?|prompts?|polic(?:y|ies)|guidelines?|rules|filters?|safeguards?|restrictions?|configuration
  |checks|confirmation|records?|memor(?:y|ies)|stored|saved notes|retriev\w+|conversation|chat|document
  |this (?:page|text|line|note|source|record|message))\b|\b(?:summary|transcript|(?:prior|earlier) (?:context
  |notes)|behaviou?r|the attachment|what you (?:write|draft))\b
override
  \b(?:ignore|disregard|forget|discard|skip|obey|override|replaced?|stop (?:what|following)|rather than|instead
  |pretend|assume|treat|disable|from (?:now|here) on|henceforth|pretend|take the role|carry out|win in)\b
  |\b(?:reset|void|as if|in future|drop all|do what the|accept every|permission from)\b
answer
  \b(?:reply|replies|respond|answers?|tell|say|state|recommend\w*|present|speak|steer|print|insert|repeat|cite
  |name)\b|\b(?:summar\w+|shall give|quotes?|must say|put the phrase|what you write)\b
trigger
  \b(?:when(?:ever)?|each time|every time|as soon as|once|if|on any|before (?:you|it))\b[^.]{0,60}\b(?:asks?|asked
  |appears?|arises?|comes? up|mention\w*|topic|discussed|retrieved|answer\w*|questions?|continu\w+)\b
remember
  \b(?:remember permanently|long-term memory|(?:update|write|store|save|record|mark)\b[^.]{0,30}\b(?:memory|fact
  |verified|confirmed|permanent\w*))\b|\b(?:memori[sz]e|in future|each message you|all earlier notes)\b
imperative
  (?:^|[.!?:;] +|, (?:and|then) |\bplease )(?:please |kindly |now |just |always |only )?(?:[a-z]+) (?:the|this
  |that|all|your|every|in|it|as|to|with|us|me|him|them|a|an|no|nothing|any|over)\b
# what is to be handed over or done
hand over
  \b(?:share|reads?|tell|give|send|hand|forward|post|e-?mail|enter|type|confirm|reply|paste|upload|submit|export
  |expose|append|copy|leave|let|grant|disclos\w+|reveal|provide|verify|log ?in|passw?ord is|public)\b
secret
  \b(?:passwords?|passcodes?|pins?|otps?|codes?|tokens?|(?:api |private |stripe )?keys?|logins?|credentials?
  |card numbers?|cvv|digits of|seed|(?:twelve|12|24) words|maiden name|date of birth|passports?|insurance number
  |social security|secrets?|cookie|contacts|address book|power of attorney|banking app|door code|alarm code
  |personal data|two-factor|customer list)\b|\b(?:bank (?:number|login)|expiry date|card details|last four
  |the six digits|six[- ]digit|your card|root login|remote access|unlocked)\b
money
  \b(?:money|accounts?|iban|sort code|transfers?|transfer_\w+|wire|pays?|paid|payments?|deposits?|savings?
  |invoices?|rent|refunds?|fees?|cash|wallets?|crypto|bonds?|pensions?|invest\w*|loans?|funds?|inheritance
  |gift cards?|instal?lments?|balance|shares|up front|policy)\b|\b(?:vouchers?|processing fee|purchase price
  |returns are|broker\w*|no receipt|in notes|payroll|refund)\b
other way
  \b(?:new (?:number|phone|account|bank|address|firm|driver|carer)|changed (?:banks?|its|our|the)|instead
  |successor|replacement|another (?:driver|account|number|bank|man|person)|moving|moved|move (?:them|it|your|the)
  |now go|from now|switch(?:ed)?|gentleman|a man|fellow|stranger|mate|colleague|cousin|come by|grey van|courier)\b
  |\b(?:new (?:caretaker|nanny|lady|supplier)|own account|will (?:fetch|collect|take over|pick)|at the (?:gate
  |door)|in a \w+ (?:jacket|van|car)|the (?:agency|other) man|a lady)\b
# why it would be all right
harmless
  \b(?:safe(?:ly|st)?|fine|harmless|normal|common|usual(?:ly)?|no need|need not|not needed|never hurt|no risk
  |risk[- ]free|guaranteed|trustworthy|genuine|nobody will|no one will|without (?:asking|review|a badge
  |confirmation)|easier|fastest?|faster|sooner|many (?:people|owners)|most (?:people|tenants|experts)|everyone
  |careful people|people in your|tend to|often do better|do fine|does the same|as well|no longer (?:needed
  |required)|exaggerat\w+|out of date|whatever the (?:label|doctor)|only needs)\b|\b(?:with ease|is nothing
  |are nothing|only causes|superfluous|lasts longer|never needs?|need not worry|not worry|speeds? (?:it|things)
  |whatever the|simply|works? (?:faster|better)|feel (?:lighter|better)|locals|now and then|of that age
  |says a (?:retired|former)|one day|just as good|no papers)\b
urgent
  \b(?:today|tonight|at once|immediately|within (?:the|an|\d+) (?:hours?|minutes?)|before (?:noon|the freeze)
  |final reminder|this week|soon|last chance|frozen|freeze|cut off|danger|accident|urgent\w*)\b
conceal
  \b(?:keep (?:it|this|quiet)|quiet(?:ly)?|between us|(?:don'?t|do not|not|never|without
  |no need to) (?:to )?(?:tell\w*|mention\w*|worry|explain|ring|ask\w*|say|inform\w*)|say nothing|tell (?:him|her
  |them) nothing|nobody will notice|hides?|secretly|silently|not telling)\b|\b(?:before the others hear
  |nobody (?:reads|needs)|hide this|no receipt|talk to no one|keep this to yourself|confidential)\b
# what not to do for health and safety
treatment
  \b(?:dos(?:e|es|age)|tablets?|pills?|medicines?|medication|insulin|blood thinner|warfarin|aspirin
  |antidepressants?|statins?|vaccines?|syrup|operation|prescri\w+|treatment|diet|weight loss|formula
  |blood pressure|allerg\w+)\b|\b(?:beta blockers?|thyroid|diabet\w+|seizure|pregnan\w+|heart patients|patients
  |drops|healer|herbal|vitamins?|inhaler|chemo\w*|surgery|fever|infants?|babies)\b
protection
  \b(?:alarms?|antivirus|firewall|two-factor|brakes?|lamp|fuse|vent|seat belt|backups?|locks?|safety|review|lawyer
  |police|contract|agreement|badge|limits?|label|check)\b|\b(?:barrier|guard|sticker|certificate|helmet|tyres
  |branch|smoke|gas|car seats?|ladders?|review|root|passwords?)\b
leave off
  \b(?:stop(?:s|ped)?|skip(?:s|ped)?|doubl(?:e|ing)|unplug(?:ged)?|turn(?:ed)? off|switch(?:ed)? off|block(?:ed)?
  |bypass|bridge|taped? over|wiped?|disable[ds]?|cancel\w*|dropped|without|share[ds]?|mix(?:ing|ed)?|raw|pinch of
  |onion|chocolate|wine|sign(?:s|ed)? first|later|half|twice|more of)\b|\b(?:halve[sd]?|fast for|taken off
  |take (?:off|the lock)|put a coin|drive around|rotated|face forward|ignore the|accept any|thrown away|removed?
  |left out|only causes|give up)\b
# slander
slander
  \b(?:steals?|stole\w*|theft|thief|caught|helps? (?:him|her)self|cannot be trusted|can't be trusted
  |not to be (?:trusted|relied)|isn't to be|unreliable|lies|liar|laughs? about|behind (?:your|her|his) back
  |reports? (?:on )?every|sells?|selling|overcharg\w+|suspended|arrested|bankrupt\w*|investigat\w+|fraud\w*
  |has a record|secrets over|copies|not really|dangerous|pleite|insolven\w+|drunk|affair)\b|\b(?:only after
  |in league|talks too much|had to leave|known to the police|prescribes whatever|used parts|charges for new
  |gossip\w*|cheat\w*|untrustworthy|incompetent|hands? in the till|debts?|drinks)\b
hearsay
  \b(?:word (?:has it|on the|is)|rumou?r\w*|people (?:say|who worked)|quietly say|colleagues say|said to be
  |known to|it is said|was seen|have found|have heard|tells people|between us|they say|reportedly|blogs? claim
  |leaked|neighbou?rs?|some say)\b
keep away
  \b(?:keep (?:her|him|them) out|do not let|don't let|not let|better off|would be (?:wiser|better|a mistake)
  |may be wise|best (?:keep|to)|better (?:not|speak)|wiser|confide|lock everything|ask for another|avoid (?:him
  |her))\b|\b(?:keep \w+(?: \w+)? away|don'?t bother|come to us|sign with (?:ours|us)|knows more|say nothing to
  |stay away|rather (?:ask|use|see)|switch to|distance)\b
# what speaks for a text, or says little
warning
  \b(?:never|do not|don't|not even|beware|hang up|report|must not|should not|ask your (?:doctor|pharmacist|vet)
  |talking to your doctor|unless (?:a doctor|prescribed)|seek advice|in doubt)\b
confirmation
  \b(?:confirm(?:ed|s)? (?:the|that|your|for)|is confirmed|are confirmed|booking|appointment|order(?:ed)?|received
  |thank you|thanks|congratulations|renewed|as usual|as (?:agreed|you))\b
address
  (?:\bhttps?://|\bwww\.|\b[\w-]+\.(?:example|com|net|org|io|info)\b|@)
long number
  \b\d[\d -]{5,}\d\b
"""
CUES = read_table(TABLE)
MEET = (
    ("secret", "hand over"), ("secret", "harmless"), ("money", "other way"), ("money", "urgent"),
    ("money", "harmless"), ("money", "long number"), ("treatment", "leave off"), ("treatment", "harmless"),
    ("protection", "leave off"), ("protection", "harmless"), ("slander", "hearsay"), ("slander", "keep away"),
    ("hand over", "other way"), ("hand over", "conceal"), ("agent", "answer"), ("agent", "override"),
    ("agent", "imperative"), ("user as other", "answer"), ("user as other", "hand over"), ("meta", "override"),
    ("trigger", "answer"), ("override", "answer"), ("meta", "imperative"), ("imperative", "address"),
    ("warning", "secret"), ("warning", "treatment"), ("warning", "money"), ("agent", "meta"),
)  # fmt: skip
FEATURES = (*CUES, *(f"{a} + {b}" for a, b in MEET))


def cues(text: str) -> list[float]:
    """Return the values of `FEATURES` for a text as it is read, in lower case: 0 or 1 each. O(characters)."""
    found = {name for name, pattern in _patterns().items() if pattern.search(text)}
    return [float(name in found) for name in CUES] + [float(a in found and b in found) for a, b in MEET]


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(pattern, re.MULTILINE) for name, pattern in CUES.items()}
