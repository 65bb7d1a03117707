"""Patterns of English statements about people and things, with one value at a time or several.

A sentence is read at its subjects ("I", "my sister", "Ana", "the deadline"): the words after one are looked up by the
first of them, so that a new verb costs nothing elsewhere. The patterns are conservative: a missing one costs a fact,
one that is too wide would end facts that still hold. So values must look right for their attribute: a city or a firm is
capitalised, a telephone number has digits, a deadline is a date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# The formatter would give every argument of a table a line of its own.
# fmt: off
_Q = "['\u2019]"
NAME = r"[A-Z][\w-]{1,30}(?:\s[A-Z][\w-]{1,30})?"
RELATION = ("sister|brother|mother|mom|mum|father|dad|wife|husband|partner|son|daughter|girlfriend|boyfriend|aunt|"
    "uncle|cousin|" "grandmother|grandma|grandfather|grandpa|niece|nephew|roommate|flatmate|neighbor|neighbour|boss|"
    "manager|best friend|" "fianc\u00e9e?|colleague|friend")
# Whom or what a statement may be about, wherever it begins.
SUBJECT = re.compile(rf"\b(?:(?P<my>[Mm]y|[Oo]ur)\b(?:\s(?P<kin>{RELATION})\b(?:,?\s(?P<kin_name>{NAME}),?(?=\s|"
    rf"{_Q}))?)?" rf"|(?P<me>[Ii]|[Ww]e)\b|(?P<they>[Tt]hey|[Hh]e|[Ss]he)\b|(?P<the>[Tt]he)\b|(?P<name>{NAME}))")
_ADVERB = ("now|just|recently|currently|actually|finally|also|already|still|officially|really|both|permanently|mostly|"
    "usually|" "happily|eventually|totally|absolutely|always|definitely|honestly|since|have|has|am|is|are|been")
# Between a subject and its verb: a short form, helping verbs and adverbs, a negation.
HELP = re.compile(rf"(?:\sproject)?(?P<short>{_Q}(?:ve|m|re|s|d|ll)\b)?(?P<aux>(?:\s(?:{_ADVERB}|was|were|had))*)"
    rf"(?P<no>\s(?:no longer|don{_Q}t|do not|doesn{_Q}t|does not|am not|is not|are not|isn{_Q}t|aren{_Q}t|not|stopped|"
    rf"quit))?" rf"(?:\s(?:{_ADVERB}|even|all that))*\s(?P<verb>[\w-]+(?:{_Q}t)?)")
PAST = re.compile(r"\b(?:was|were|had)\b")
_ARTICLE = r"(?P<article>(?:an?|the|my|our|his|her|their)\s(?:new\s|brand new\s)?)?"
# A dot ends a value, but not in "Dr. Lee", "J.P. Morgan", "St. John's".
_DOT = (r"\.(?=\w)|(?<=\b[A-Z])\.(?=\s[A-Z])|(?<=\b(?:Dr|St|Mr|Ms|Mt|Ft|Jr|Sr))\.|(?<=\b(?:Mrs|Ste|Rev|Col|Gen|Sgt))\.|"
    r"(?<=\b(?:Prof|Capt))\.")
_VALUE = rf"{_ARTICLE}(?P<value>(?:[^.;!?\n]|{_DOT}){{1,120}})"
_OWN = r"(?:my|our|his|her|their|the|an?)"
_NEW = (r"(?:(?:brand new|new|current|latest|own|old|main|preferred|go-to|usual|primary|default|absolute|all-time|"
    r"number one)\s)*")
LIKES = "favou?rite|best-loved|best loved|go-to|preferred|number one|top|all-time favou?rite"

# Nouns for what one has one of at a time, by how its value looks (see `rules`).
NOUNS = {
    "proper": "employer|company|workplace|home city|home town|home|city|hometown|country|car|vehicle|"
    "bike|laptop|computer|bank|gym|"
    "school|university|college|airline|hotel|insurance|provider|phone model|nickname|full name|name|team",
    "person": "doctor|dentist|therapist|lawyer|boss|manager|supervisor|landlord|roommate|flatmate|partner|wife|husband|"
    "girlfriend|boyfriend|fianc\u00e9e?|dog|cat|puppy|kitten|parrot|rabbit|hamster|owner|team lead|coach|trainer",
    "role": "job title|job|title|occupation|profession|role|position",
    "phone": "phone number|telephone number|mobile number|cell number|"
    "cell phone number|cell phone|phone|telephone|mobile|cell|number",
    "email": "email address|e-mail address|email|e-mail|mail address|address",
    "when": "birthday|deadline|due date|start date|end date|launch date|release date|meeting time|submission date|"
    "wake-up time|bedtime|delivery date",
    "digits": "age|salary|rent|budget|weight|height|shoe size|size|price|version|port|pin|blood pressure",
    "noun": "text editor|code editor|editor|browser|operating system|os|framework|theme|database|branch|diet|time zone|timezone|"
    f"username|handle|password|programming language|major|degree|commute|favou?rite thing to eat|"
    f"(?:{LIKES}) [a-z-]{{3,20}}(?: [a-z-]{{3,20}}){{0,2}}?",
}
_SINGLE = "|".join(NOUNS.values())
PETS = "dog|cat|puppy|kitten|parrot|rabbit|hamster|horse|pony|bird|turtle"
ATTRIBUTE = rf"(?P<new>{_NEW})(?P<attribute>{_SINGLE})"
_MOVED = ("moved|changed|switched|shifted|pushed|postponed|extended|rescheduled|delayed|brought forward|set|updated|"
    "put back|slipped")
_LINK = (rf"\s?(?:of choice)?(?:{_Q}s|\s(?:{_ADVERB}))*\s?(?P<link>(?:is|are|became|will be|has become|have become|"
    rf"turned into|turned to)" rf"|(?:was|were|got|has been|have been)?\s?(?:{_MOVED}|turned)\s(?:back\s)?to|(?:has "
    rf")?changed(?:,|;| and)\s?(?:it{_Q}s|it is|to)" rf"|(?<![Jj]ob){_Q}s(?=\s(?:an?|on|called)\s)|(?<=[Nn]ame){_Q}s(?=\s[A-Z])"
    rf"|(?<=irthday){_Q}s(?=\s(?:in\s)?(?:\d|the\s\d|[A-Z]))"
    rf"|[:,](?:\s(?:it{_Q}s|it is))?)(?:\s(?:now|currently|actually|"
    rf"officially|definitely|still))*\s+{_VALUE}")
LINK = re.compile(_LINK)
WHOSE = re.compile(rf"\s{ATTRIBUTE}(?=[.,;!]|$|\s(?:now|these|at|anymore|and|but|since|lately|currently|because|as)\b)")
OWNED = re.compile(rf"\s{ATTRIBUTE}\b{_LINK}")
PET = re.compile(rf"\s(?:{_NEW})?(?P<pet>{PETS})(?:{_Q}s (?:new )?name(?: is| changed to| has changed to)|\s(?:is |"
    rf"has been )?(?:now )?(?:called|named)|" rf" (?:now )?(?:goes by|answers to)(?: the name(?: of)?)?|\shas a new "
    rf"name[:,]|{_Q}s called|{_Q}s named)(?:\snow)?\s+{_VALUE}")
WHAT = re.compile(rf"(?:{_Q}s)?\s(?:(?P<pet>{PETS})\b|{ATTRIBUTE}(?=\?|\.|$|\s(?:now|these|at|called)\b))")
FIRST = re.compile(r"\s(?:is|became|has become|has just become|just became|is now|are)(?:\snow)?\s$")
THING = re.compile(rf"\s(?P<whole>(?:(?!(?:of|for|is|to)\b)[\w-]+\s){{0,3}}?)(?P<new>{_NEW})(?P<attribute>{_SINGLE})\b"
    rf"(?:\s(?:of|for)\s(?:(?P<my>my|our)\s(?P<kin>[a-z]+)|(?:the\s)?(?P<of>[\w-]+(?:\s[\w-]+)??)(?P<poss>{_Q}s "
    rf"[a-z]+)?)(?=\s(?:is|was|now|got|has|{_MOVED})\b))?")
BEST = re.compile(rf"\b(?:[Tt]he (?P<noun>[a-z]+) (?P<who>I|{NAME}) (?:now )?(?:like|love|enjoy|prefer)s? (?:the "
    rf")?(?:best|most) (?:now )?is (?:now )?{_VALUE}" rf"|[Oo]f all (?:the )?(?P<nouns>[a-z]+?)s?,? (?P<who2>I|"
    rf"{NAME}) (?:now )?(?:like|love|prefer)s? (?P<best>[^.,;!?\n]{{2,50}}?) (?:the )?(?:best|most)\b)")
CONTACT = re.compile(rf"\b(?:(?:[Rr]each|[Cc]all|[Tt]ext|[Pp]hone|[Rr]ing|[Ee]-?mail|[Cc]ontact|[Mm]essage|[Ww]rite "
    rf"to|[Ss]end (?:mail|e-?mails?)(?: to)?|" rf"[Pp]lease use|[Uu]se)(?:\s(?P<who>me|us|{NAME}))?(?:\sby (?:e-?mail|"
    rf"phone|text))?(?:\s(?:on|at|via|under|to|using))?" rf"|(?:[Ss]ave|[Nn]ote|[Uu]se|[Hh]ave)\s(?:down\s)?(?P<my>my|"
    rf"our)\s(?:new\s)?[a-z -]{{4,20}}?[,:])\s(?P<value>\+?[\w.@+()-]{{6,60}})")
COUPLE = re.compile(rf"\b(?P<a>{NAME}) and (?P<b>I|{NAME})(?: have|{_Q}ve|{_Q}re| are| just| now| finally| officially|"
    rf" recently| got| started)*\s" r"(?:dating|a couple|together|engaged|married|in a relationship|going out)\b")


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a verb states a fact."""

    regex: re.Pattern[str]
    attribute: str
    look: str = "proper"  # what its value looks like (see `values.look`)
    exclusive: bool = True  # whether it has one value at a time
    negated: bool = False  # whether the verb denies
    passive: bool = False  # whether helping verbs of the past may precede it
    fixed: str | None = None  # the value, where the text names only the thing ("likes")


VERBS: dict[str, list[Pattern]] = {}


def _add(
    verbs: str, attribute: str, tail: str = _VALUE, *, look: str = "proper", exclusive: bool = True, negated: bool = False,
    passive: bool = False, fixed: str | None = None, any_case: bool = False,
) -> None:
    """Register a pattern under the first word of each of these verbs, alternatives separated by "|"."""
    space = "" if tail.startswith("(?=") else r"\s+"
    regex = re.compile(rf"(?:{verbs}){space}{tail}", re.IGNORECASE if any_case else 0)
    pattern = Pattern(regex, attribute, look, exclusive, negated, passive, fixed)
    for word in dict.fromkeys(verb.split()[0] for verb in verbs.split("|")):
        VERBS.setdefault(word, []).append(pattern)


_FLAT = (r"(?:(?:a|an|the|my|our|his|her) (?:[a-z-]+ ){0,2}(?:flat|apartment|house|home|place|condo|loft|studio|room|"
    r"city of|town of) (?:in )?)?")
_IN = rf"{_FLAT}{_VALUE}"
_SOMEONE = r"(?P<value>(?!Dr\b|Prof|Mr|Mrs|Ms)[A-Z][\w-]+(?:\s[A-Z][\w-]+)?)"
# diet
_DIET = ("vegetarian|vegan|pescatarian|pescetarian|keto|paleo|flexitarian|omnivore|carnivore|gluten-free|dairy-free|"
    "low-carb|plant-based|mediterranean|raw food")
_AFTER = (r"(?=[.,;!:]|$| (?:now|these|again|for|since|and|but|lately|diet|instead|as|because|last|this|after|anymore|"
    r"nowadays|at)\b)")
_add("a|went|gone|turned|became|become|eat|eats|eating|going|went back to being|go", "diet",
    rf"(?:fully |strictly |completely )?(?P<value>{_DIET}){_AFTER}", look="any", any_case=True)
_add("on|follow|follows|following|switched to|started|adopted|began|begun|taken up|took up|trying|doing|tried|moved "
    "to|changed to|keep to|keeps to|keeping to|stick to|sticks to|sticking to|went on|" "gone on|turned to|keep|chose",
    "diet", rf"(?:a |the )?(?:strict |new )?(?P<value>{_DIET}) (?:diet|regimen|lifestyle|regime|plan|nutrition)", look=
    "any", any_case=True)
for _word in _DIET.split("|"):
    _add(_word, "diet", _AFTER, look="self", any_case=True)
# home
_add("live alone in|lives alone in|living alone in|live in|lives in|living in|reside in|resides in|residing in|based in",
    "live in", _IN)
# Teams, databases and seats are moved to as well: only a place is a home (see `rules.is_home`).
_add("moved to|moved back to|moved over to|moved into|moved out to|relocated to|emigrated to|made the move to|packed "
    "up and moved to|" "ended up moving to|ended up settling in|ended up settling down in|moved house to|"
    "migrated to|settled in|settled down in|settling in|settling down in", "live in", _IN, look="place")
_add("moved from|relocated from", "live in", rf"[^.;!?\n]{{1,60}}? to {_IN}", look="place")
_add("lived in", "live in", rf"{_IN}", look="for")
_add("used to live in|moved away from|moved out of", "live in", _IN, negated=True)
_add("made", "live in", r"(?P<value>[A-Z][\w-]+(?:\s[A-Z][\w-]+)?) (?:my|our|his|her|their) (?:new )?home")
_add("a resident of|a citizen of", "live in", _IN)
_add("got|rented|bought|found", "live in", rf"(?:my|our|him|her|them)?(?:self|selves)?\s?an? (?:[a-z-]+ "
    rf"){{0,2}}(?:flat|apartment|house|place) in {_VALUE}(?<=and moved in)")
# work
_add("work at|works at|work for|works for|working at|working for|began working at|began working for|started working "
    "at|" "started working for|started at|start at|started with", "work at")
_add("employed at|employed by|hired at|hired by|got hired by|got hired at|recruited by|headhunted by", "work at",
    passive=True)
_add("used to work at|used to work for|resigned from|got fired from|fired from|laid off by|laid off from|quit my job "
    "at|" "left my job at", "work at", negated=True, passive=True)
_add("left", "work at", negated=True, look="left")
_add("started|got|took|accepted|landed|found|have|has|took up|begun|began", "work at", rf"(?:an?|the|my|his|her) "
    rf"(?:new )?(?:job|position|role|offer|post)(?: offer)? (?:at|with|from) {_VALUE}")
_add("taken", "work at", rf"(?:a|an|the) (?:new )?(?:job|position|role|offer|post)(?: offer)? (?:at|with|from) "
    rf"{_VALUE}")
_add("joined", "work at", look="firm")
_add("switched|changed|moved", "work at", rf"(?:jobs|employers|companies)(?: again)? (?:to|and (?:joined|work (?:at|"
    rf"for)|(?:am|is) (?:now )?(?:at|with))|from [^.;!?]{{1,40}}? to) {_VALUE}")
_add("changed|switched", "work at", rf"(?:jobs|employers)[:;,] (?:I|we) (?:now )?work (?:for|at) {_VALUE}")
_add("earn|earns|earning", "work at", rf"(?:my|his|her|their|a|some) (?:living|money|bread) (?:at|with) {_VALUE}")
_add("earn|earns|earning", "job", rf"(?:my|his|her|their|a|some) (?:living|money|bread) as {_VALUE}", look="role")
_add("work as|works as|working as|employed as|retrained as|started as|started working as|began working as|started out "
    "as|hired as|" "got hired as|promoted to|got promoted to|appointed|appointed as|switched careers to|changed "
    "careers to|" "switched careers and became", "job", look="role", passive=True)
_add("made|became|become", "job", look="trade", passive=True)
_add("have|has|got|took|taken", "job", rf"(?:an?|the) (?:new )?(?:job title|title|role|position|job)(?: of|:|,| as) "
    rf"{_VALUE}", look="role")
_add("a|an", "job", r"(?P<value>(?:[A-Za-z-]+ ){0,3}(?:nurse|teacher|doctor|lawyer|engineer|developer|programmer|plumber|"
    r"electrician|carpenter|chef|baker|architect|accountant|analyst|consultant|designer|librarian|paramedic|"
    r"pharmacist|dentist|vet|veterinarian|scientist|researcher|professor|lecturer|banker|firefighter|pilot|translator|"
    r"journalist|mechanic|welder|chemist|recruiter|barber|hairdresser|social worker|bartender|cashier|police officer|"
    r"secretary|surgeon|photographer|tour guide|bus driver|tax adviser|zookeeper|economist|psychologist|"
    r"receptionist))(?=[.,;!]|$| at\b| for\b| in\b| now\b| by\b| and\b| these\b| with\b)", look="role")
# study
_add("study at|studies at|studying at|go to school at|goes to school at|enrolled at|enrolled in|attend|attends",
    "study at")
_add("majoring in|major in|majors in|switched my major to|changed my major to", "major", look="noun")
# health
_add("have|has|got|suffer from|suffers from|diagnosed with", "health", r"(?P<value>(?:(?:mild|severe|chronic|bad|type [12]) )?"
    r"(?:asthma|diabetes|epilepsy|arthritis|adhd|autism|dyslexia|eczema|psoriasis|migraines?|tinnitus|glaucoma|hay ?fever|"
    r"sciatica|lupus|gout|anaemia|anemia|insomnia|osteoporosis|endometriosis|fibromyalgia|c(?:o)?eliac disease|crohn's|"
    r"high blood pressure|sleep apnoea|sleep apnea|parkinson's))\b", look="any", exclusive=False, any_case=True, passive=True)
# people
_add("married to|got married to|married|dating|started dating|going out with|engaged to|got engaged to|in a "
    "relationship with|together with|" "started seeing|started going out with|a couple with|begun dating|begun seeing|"
    "date|dates", "relationship", _SOMEONE, passive=True, look="person")
_add("seeing", "relationship", rf"{_SOMEONE}(?= now| these days| lately|[.!]?$)", look="person")
_add("broke up with|split up with|divorced from|separated from|broken up with", "relationship", _SOMEONE, negated=True,
    look="person")
_STATUS = r"(?=[.,;!]|$| now\b| again\b| these days| at the moment)"
_add("single|got divorced|divorced|separated|widowed", "relationship", _STATUS, look="self")
# age: "I'm 34", "turned 34"
_OLD = re.compile(r"(?P<value>\d{1,3})(?=[.,;!]|$| years old\b| now\b| today\b)")
for _age in range(1, 120):
    VERBS.setdefault(str(_age), []).append(Pattern(_OLD, "age", "age"))
_add("turned", "age", r"(?P<value>\d{1,3})(?=[.,;!]|$| today| yesterday| last| this| on| in)", look="any")
# what one has, uses and does
_MAKES = ("Acura|Alfa|Audi|BMW|Buick|Cadillac|Chevrolet|Chevy|Chrysler|Citro\u00ebn|Citroen|Cupra|Dacia|Dodge|Ferrari|"
    "Fiat|Ford|GMC|Honda|Hyundai|Infiniti|" "Jaguar|Jeep|Kia|Lada|Lancia|Land|Lexus|Lincoln|Mazda|Mercedes|MG|Mini|"
    "Mitsubishi|Nissan|Opel|Peugeot|Polestar|Porsche|Prius|Ram|Renault|" "Rivian|Saab|Seat|Skoda|\u0160koda|Smart|"
    "Subaru|Suzuki|Tesla|Toyota|Vauxhall|Volkswagen|Volvo|VW")
_add("drive|drives|driving", "car", look="thing")
_add("bought|purchased|got|leased|ordered|have|has|own|owns", "car", rf"(?:myself |himself |herself )?an? (?:new |"
    rf"used |secondhand )?(?P<value>(?:{_MAKES})\b[^.;!?\n,]{{0,40}})")
_add("weigh|weighs", "weight", look="digits")
_add("wake up at|wakes up at|get up at|gets up at", "wake-up time", look="when")
_add("go to bed at|goes to bed at", "bedtime", look="when")
_add("work out at|works out at|working out at|train at|trains at|training at|exercise at|exercises at|exercising at|"
    "go to the gym at|" "goes to the gym at|a member at the gym|a member of the gym|do my training at|does his "
    "training at|do my workouts at|go to the gym called|lift at|lifts at", "gym")
_add("moved|switched|transferred", "gym", rf"(?:my|his|her) gym membership to {_VALUE}")
_add("have|has|own|owns", "number of", r"(?P<value>\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten) "
    r"(?P<thing>kids?|children|sons?|daughters?|" r"brothers?|sisters?|siblings?|dogs?|cats?|pets?|cars?|"
    r"grandchildren)(?=[.,;!]|$| and| now)", look="any")
_ABOUT = r"(?P<thing>[^,.;:!?\n]{2,60})"
_LIKE = ("love|loves|like|likes|enjoy|enjoys|adore|adores|loving|enjoying|liking|into|fond of|keen on|crazy about|mad "
    "about|passionate about|" "a fan of|a big fan of|a huge fan of|come to love|came to love|come to like|grown to "
    "love|grew to love|learned to love|learnt to love|" "grown fond of|grew fond of|started liking|started loving|"
    "fell in love with|fallen in love with|started to like|started to love|" "obsessed with|hooked on")
_HATE = ("hate|hates|dislike|dislikes|detest|detests|loathe|loathes|can't stand|cannot stand|can\u2019t stand|can't "
    "bear|cannot bear|despise|despises|" "come to hate|came to hate|grown to hate|tired of|sick of|fed up with|bored "
    "of|bored with|gone off|went off|grown tired of|hating|" "started hating|started to hate|started disliking|come "
    "to dislike|over with|done with|can\u2019t bear|lost interest in")
_add(_LIKE, "feeling about", _ABOUT, fixed="likes", look="about")
_add(_HATE, "feeling about", _ABOUT, fixed="dislikes", look="about")
_add("prefer|prefers", "preference", rf"{_ARTICLE}(?P<value>[^.;!?\n]{{1,60}}?) (?:over|to|rather than|instead of) "
    rf"[^,.;!?\n]{{2,60}}", exclusive=False, look="noun")
# one value at a time, changed: "switched my editor to", "got a new car, a", "renamed the dog", "use Zed as my editor"
_TO = (rf"(?:\smembership)?(?:\s(?:to|with|for|in for|from [^.;!?\n]{{1,40}}? to)|\s?[:,](?: it{_Q}s| it is)?| "
    rf"(?:called|named)|, (?:called|named)) {_VALUE}")
_add("changed|switched|updated|moved|set|upgraded|replaced|traded|swapped|exchanged|pushed|postponed|extended|shifted|"
    "rescheduled|delayed", "named", rf"(?:{_OWN}) (?P<whole>(?:[A-Z][\w-]+ ){{0,2}}){ATTRIBUTE}{_TO}", look="named",
    passive=True)
_add("have|has|got|bought|picked up|joined|found|signed up at|signed up for|chose|leased|purchased|started at|gotten|"
    "switched to|moved to|changed to", "named", rf"(?:myself |himself |herself )?(?:an?|my|his|her|our) (?=(?:brand "
    rf")?new\b){ATTRIBUTE}(?: today| yesterday| this week)?" rf"(?:\s?[:,](?: it{_Q}s| it is)?| called| named|, "
    rf"called|, named) {_VALUE}", look="named")
_add("switched|changed|moved", "named", rf"(?P<plural>gyms|cars|phones|emails|editors|banks|schools|diets|browsers|"
    rf"cities) to {_VALUE}", look="named")
_add("use|uses|using|switched to|prefer|prefers|picked|chose|moved to|went with|settled on|adopted|changed to", "named",
    rf"{_ARTICLE}(?P<value>[^.;!?\n,]{{2,40}}?) (?:as|for) {_OWN} {ATTRIBUTE}", look="named")
_add("write all my code in|writes all his code in|write my code in|code in|write code in|do all my coding in", "editor",
    look="tool")
_add("named|renamed|call|calls|called", "pet", rf"{_OWN} (?:new )?(?P<pet>{PETS}) (?:to )?(?P<value>[A-Z][\w-]+)", look
    ="person")
_add("needs to be done by|must be done by|to be done by|needs to be finished by|must be finished by|to be finished by|"
    "to be delivered by|" "must be delivered by|to be ready by|must be ready by|to be submitted by", "deadline", look=
    "when")
_add("due", "deadline", r"(?:on |by )?(?P<value>[^.;!?\n]{2,40})", look="when", passive=True)
_add("to deliver|to ship|to submit|to finish|to complete|to hand in|to turn in|to release|to launch|must deliver|must "
    "ship|must submit|must finish|" "need to deliver|need to ship|need to submit|need to finish|needs to deliver|"
    "needs to ship|needs to submit|needs to finish", "deadline", rf"(?:the )?(?P<of>{NAME})(?: project)? by "
    rf"(?P<value>[^.;!?\n]{{2,40}})", look="when")
# several values at a time
_add("allergic to", "allergic to", exclusive=False, look="noun")
_add("speak|speaks", "speak", exclusive=False)
_add("play|plays", "play", exclusive=False, look="noun")
_add("have|has|own|owns|adopted", "have", rf"(?P<article>an? )(?P<value>(?:[a-z-]+ ){{0,2}}(?:{PETS}|son|daughter|"
    rf"sister|brother|twin|garden|boat|motorcycle)\b[^.;!?\n,]{{0,30}})", exclusive=False, look="noun")

KEY_VALUE = re.compile(rf"^[\s*-]*(?:(?P<name>{NAME}){_Q}s\s)?(?:[Mm]y\s|[Nn]ew\s)*(?P<attribute>[A-Za-z][\w "
    rf"/'-]{{1,40}}?)\s?:\s+(?P<value>[^\n]{{1,120}}?)\s*$")
# fmt: on
