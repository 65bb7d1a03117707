"""The words by which a clause shows whether it speaks of the past or of the future."""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


BE = _set(
    "am is are isn't aren't ain't i'm we're you're they're he's she's it's that's there's here's what's who's where's "
    "when's how's"
)
WAS = _set("was were wasn't weren't")
HAVE = _set("have has haven't hasn't i've we've you've they've")
DO = _set("do does don't doesn't")
MODALS = _set(
    "will won't shall gonna can can't cannot must should need needs might i'll we'll you'll they'll he'll she'll it'll that'll "
    "there'll let's wanna hafta going"
)
UNSURE = _set("would wouldn't could couldn't i'd we'd you'd they'd he'd she'd born")
PAST = _set(
    "did didn't had hadn't went saw met took came got made bought ate left found gave told said thought felt flew "
    "drove wrote ran began became broke brought built caught chose drank fell forgot grew heard held kept knew lost "
    "paid rode sang sat sent slept sold spent spoke stood taught won wore woke swam led lit dreamt learnt learned "
    "fought hid rang shook stole threw drew slid sank sprang stuck swore tore understood withdrew wound bit blew "
    "bent bled bred dealt dug fed froze hung laid lent meant rose sought shot shone spun wept lay overslept "
    "undertook"
)
PARTICIPLES = _set(
    "been gone seen taken come done given eaten written driven flown broken chosen drunk fallen forgotten grown "
    "known ridden sung begun become worn woken swum hidden stolen thrown drawn put cut hit let read set quit hurt "
    "cost beaten shown"
)
# Words in -ed that are no past tense by themselves.
NO_PAST = _set(
    "need feed bed red seed speed weed indeed hundred shed wed bleed breed exceed proceed succeed embed naked sacred wicked "
    "united advanced excited interested tired worried scared bored pleased delighted thrilled married engaged retired divorced "
    "related used fred ted jared ahmed mohammed muhammed alfred supposed bleed deed greed creed steed reed freed kindred crooked "
    "rugged ragged aged beloved blessed sled med fed biped allotted planned booked scheduled reserved unused"
)
# Present tenses that announce: "My flight leaves on Friday", "I start in June".
ANNOUNCING = _set(
    "leaves flies departs arrives lands starts begins opens closes ends expires launches ships happens resumes returns finishes "
    "premieres comes goes moves meets travels visits marries turns retires graduates runs lasts "
    "leave fly depart arrive land start begin move return travel launch graduate retire meet"
)
ASKING = _set("there here when what where who how that this")
NO_VERB = _set(
    "during evening morning nothing everything something anything being interesting amazing exciting boring thing king"
)
HABIT = _set("every each usually always often never sometimes regularly normally generally whenever typically most")
# Without a verb in the clause: "Dentist appointment on Friday", "Planned for June".
HINTS_AHEAD = _set(
    "plan plans planning planned hope hopes hoping want wants intend intends expect expects scheduled booked due upcoming soon "
    "tomorrow tonight later deadline appointment reminder remind remember reserved rsvp excited invited next until till by "
    "coming starting cancelled postponed rescheduled flight interview meeting exam delivery"
)
HINTS_BACK = _set("yesterday ago earlier previously last back since recently once formerly")
RESERVED = _set("booked planned scheduled reserved arranged")
BOOKING = _set(
    "book booked reserve reserved schedule scheduled order ordered arrange arranged plan planned set invite invited register "
    "registered sign signed ticket tickets appointment reservation booking reminder buy bought postponed moved invitation plans"
)
GOES_ON = _set("was were going planning supposed hoping meant due about scheduled")
