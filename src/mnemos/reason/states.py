"""What a question about the past asks for: a state, which held for a while, or something that happened."""

from __future__ import annotations

import re

_ENGLISH = re.compile(r"\b(?:what|which|where|who|whom|whose|how|why|did|was|were|had|is|does|do)\b", re.IGNORECASE)
_PRESENT = re.compile(
    r"(?!.*\b(?:did|was|were|had)\b)\W*(?:(?:which|what|how|whose)\b[\w ']{2,40}?|\w+)"
    r" (?:is|are|am|does|do|has|have|will|might|may|would)\b(?!.*\bused to\b)",
    re.IGNORECASE,
)
_GERMAN = re.compile(r"^\W*was (?:war|hatte|habe|mach|arbeit|fuhr|fahr)", re.IGNORECASE)
# What was done once, as a rule: "What did she buy?"
_DONE = (
    "do,say,tell,talk,discuss,mention,buy,purchase,order,get,give,receive,make,see,watch,notice,find,plan,decide,happen,win,"
    "visit,go,travel,meet,suggest,recommend,advise,share,post,create,write,build,paint,draw,bake,celebrate,participate,"
    "organize,organise,feel,react,respond,reply,learn,realize,realise,discover,start,begin,finish,end,stop,quit,leave,move,"
    "join,arrive,come,open,close,launch,sign,apply,ask,answer,offer,promise,agree,show,send,bring,try,want,hope,think,know,"
    "remember,forget,lose,break,fall,catch,add,change,choose,pick,complete,achieve,volunteer,perform,attach,donate,"
    "experience,encourage,inspire,motivate,help,describe,explain,express,compare,prepare,return,adopt,invite,propose,"
    "announce,submit,present,publish,release,hear,encounter,face,request,implement,fix,set up,run into,"
    "accomplish,undergo,contribute,overcome,drop,impact,affect,explore,enjoy,schedule,obtain"
)
_DID = re.compile(rf"\bdid(?:n't)?\b.{{1,80}}?\b(?:{_DONE.replace(',', '|')})\b", re.IGNORECASE)
_HAPPENED = re.compile(
    r"^\W*(?:why|when|how long (?:did|ago)|how often"
    r"|how many (?:times|days|weeks|months|years)|did|was|were|had|is|does|do)\b"
    r"|^\W*how (?:did|was|were) .*"
    r"\b(?:feel|feeling|react|respond|go|do|doing)\b"
    r"|^\W*(?:who|what|which \w+)\s+(?:happened|won|came|went|gave|said|told|made|wrote|bought|sent|got|brought|found|broke"
    r"|died|asked|helped|inspired|motivated|performed|caused|led to|started|changed|joined|visited|called|invited)\b"
    r"|\b(?:was|were)\b.{0,60}\b(?:discussed|said|mentioned|decided|agreed|announced|given|sent|bought|found|made|reaction"
    r"|response|gift|present|plans?|reason|purpose|result|outcome)\b",
    re.IGNORECASE,
)
# What is done again and again: "What did she do for a living?", "Which vet did we go to?", "How did I get to work?"
_HABIT = re.compile(
    r"\b(?:usually|normally|always|typically|regularly|every|each|for (?:a living|work|money|lunch|breakfast|dinner)"
    r"|in the (?:mornings|evenings|afternoons)|at (?:nights?|weekends)|on (?:(?:mon|tues|wednes|thurs|fri|satur|sun)days"
    r"|weekends)|used to)\b"
    r"|\bget (?:up|around|to (?:work|school|the office|uni\w*))\b|\bdid (?:i|he|she|we|they|you) get there\b"
    r"|\bgo (?:on (?:holiday|vacation)|to (?:school|work|church|uni\w*|college|university|the gym)|running|swimming|by)\b"
    r"|^\W*(?:which|what) (?!did\b)[\w ]{2,30}\bdid\b.*\bgo to\W*$|^\W*who\b.*\bgo to\b"
    r"|\b(?:club|group|class|team|choir|band)\b.*\bmeet\b|\bdo (?:my|our|the|his|her)\b|\btravel (?:with|to work|by)\b"
    r"|\b(?:sport|hobby|job|course|work|exercise|diet)s? (?:did|was)\b.*\bdo(?:ing)?\b|\bwrite (?:on|in|with)\b"
    r"|\bhelp (?:me|us) with\b|\bmake (?:a living|per|an? (?:hour|month|year))\b",
    re.IGNORECASE,
)


def asks_state(question: str) -> bool:
    """Tell whether a question about the past asks for what was so for a while, rather than for what happened.

    "Where did I live?", "Who was my boss?" and "Who did my taxes?" do, "What did she buy?" and "How did he feel?" do not.
    Read in English, by the verbs for what is done once; of questions in other languages it is assumed.
    """
    if _ENGLISH.search(question) is None or _GERMAN.search(question) or _HABIT.search(question):
        return True
    return not (_HAPPENED.search(question) or _DID.search(question) or _PRESENT.match(question))
