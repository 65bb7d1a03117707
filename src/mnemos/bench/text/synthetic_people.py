"""Statements of people whose lives change, with known gold states.

Every attribute has templates in the first person ({v} the value, {a} the value with its article) and in the third
({s} whose it is). They were written before the patterns of `reason.patterns` were widened, and are split by a fixed
rule: those at even places are "dev", on which the patterns were developed, those at odd places "test". One person wrote
both, so "test" shows how the patterns take another wording, not all that people say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Split = Literal["dev", "test"]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing about a person that changes. `key` is its name in the rules; `subject` when it is not the person."""

    name: str
    key: str
    values: tuple[str, ...]
    first: tuple[str, ...]
    third: tuple[str, ...]
    questions: tuple[str, ...]
    subject: str = "{s}"


def _list(text: str, by: str = ",") -> tuple[str, ...]:
    return tuple(piece.strip() for piece in text.split(by) if piece.strip())


def half(templates: tuple[str, ...], split: Split) -> tuple[str, ...]:
    """Return the templates of a split."""
    return templates[0::2] if split == "dev" else templates[1::2]


PEOPLE = _list("Ana, Ben, Carla, Deniz, Erik, Farah, Gus, Hana, Ivo, Jodie, Kofi, Lena, Milo, Nadia, Omar, Pia, Quentin, "
               "Rita, Stefan, Tessa, Umberto, Vera, Wanda, Yannick")  # fmt: skip
PROJECTS = _list("Atlas, Beacon, Cascade, Dynamo, Ember, Falcon, Granite, Horizon, Icarus, Jupiter, Kestrel, Lantern, "
                 "Mosaic, Nimbus, Orchid, Phoenix, Quartz, Raven, Saturn, Tango, Umbra, Vertex, Willow, Zenith")  # fmt: skip
THINGS = _list("karaoke, camping, yoga, sushi, jazz, running, opera, coffee, chess, gardening, podcasts, sailing, tea, "
               "knitting, bowling, pilates, techno, cricket, hiking, baking, poetry, golf, surfing, ballet")  # fmt: skip

ATTRIBUTES: tuple[Attribute, ...] = (
    Attribute("city", "live in", _list(
        "Lisbon, Oslo, Porto, Bergen, Turin, Leeds, Ghent, Lyon, Malmö, Graz, Seville, Krakow, Tartu, Cork, Basel, Utrecht, "
        "Denver, Austin, Halifax, Perth, Kyoto, Busan, Hanoi, Quito, Bogota, Tunis, Accra, Nairobi, Tbilisi, Izmir"
    ), (
        "I moved to {v}.", "I live in {v} now.", "We've just relocated to {v}.", "I'm living in {v} these days.",
        "I have settled in {v}.", "My new home is {v}.", "I'm based in {v} now.",
        "I packed up and moved to {v} last week.", "My home city is {v} now.", "I've made {v} my home.",
        "I now reside in {v}.", "We ended up settling down in {v}.", "I finally moved into a flat in {v}.",
        "I'm now a resident of {v}.", "As of this week I live in {v}.",
        "I got myself an apartment in {v} and moved in.",
    ), (
        "{s} moved to {v}.", "{s} lives in {v} now.", "{s} has relocated to {v}.", "{s} is based in {v} these days.",
        "{s} is living in {v} now.", "{s}'s new home is {v}.",
    ), ("Where does {s} live?", "Which city does {s} live in now?", "Where is {s} living these days?")),
    Attribute("employer", "work at", _list(
        "Northwind, Corvid Labs, Lumen Optics, Harbor Freight, Juniper Foods, Meridian Bank, Quarry Tools, Saffron Media, "
        "Tundra Games, Vantage Air, Basalt Energy, Cobalt Press, Dune Travel, Fjord Shipping, Alder Health, Zephyr Wind, "
        "Pinnacle Bikes, Orbit Telecom, Maple Toys, Sable Audio, Crescent Hotels, Delta Paints"
    ), (
        "I started a new job at {v}.", "I work for {v} now.", "I'm working at {v} these days.", "I just joined {v}.",
        "My new employer is {v}.", "I got hired by {v}.", "I've switched jobs and work at {v} now.",
        "I've taken a position with {v}.", "I'm employed by {v} now.", "My company is {v} now.",
        "I accepted an offer from {v} and started on Monday.", "I got a job at {v}.",
        "I changed employers: I work for {v} now.", "I've been with {v} since Monday, that's my new job.",
        "I now earn my living at {v}.", "I began working for {v}.",
    ), (
        "{s} works for {v} now.", "{s} joined {v}.", "{s} started a new job at {v}.", "{s} got hired by {v}.",
        "{s}'s new employer is {v}.", "{s} took a job with {v}.",
    ), ("Who does {s} work for?", "Where does {s} work?", "Which company employs {s} now?")),
    Attribute("job", "job", _list(
        "data analyst, plumber, nurse, architect, baker, translator, electrician, paramedic, librarian, web developer, "
        "tax adviser, carpenter, chemist, tour guide, bus driver, photographer, school teacher, product designer, welder, "
        "market researcher, pastry chef, sound engineer, zookeeper, recruiter"
    ), (
        "I work as {a} now.", "I became {a}.", "I got promoted to {v}.", "My job title is now {v}.",
        "I'm working as {a} these days.", "My new role is {v}.", "I've switched careers to {v}.",
        "I've retrained as {a}.", "I was promoted to {v} this week.", "I'm employed as {a} now.",
        "My occupation is {v} now.", "These days I earn my money as {a}.", "I've been made {v}.",
        "I started working as {a}.", "My position is {v} as of today.", "I have a new job title: {v}.",
    ), (
        "{s} works as {a} now.", "{s} became {a}.", "{s} got promoted to {v}.", "{s} is now working as {a}.",
        "{s}'s new job title is {v}.", "{s} was promoted to {v}.",
    ), ("What is {s}'s job title?", "What does {s} work as?", "What is {s}'s job?")),
    Attribute("phone", "phone", tuple(f"555-{100 + 37 * i % 900:03}-{(7919 * i) % 10000:04}" for i in range(1, 120)), (
        "My new phone number is {v}.", "My number changed to {v}.", "You can reach me at {v} now.",
        "My mobile is {v} now.", "I have a new number: {v}.", "I changed my phone number to {v}.",
        "My phone number is now {v}.", "Call me on {v} from now on.", "I switched my number to {v}.",
        "I got a new phone number, it's {v}.", "Please save my new number, {v}.", "My cell number is {v} now.",
        "New phone number: {v}.", "My telephone number has changed, it is {v} now.", "My number is {v} as of today.",
        "Please use {v} to call me.",
    ), (
        "{s}'s phone number is now {v}.", "{s} has a new number: {v}.", "{s} changed his number to {v}.",
        "{s}'s new number is {v}.", "You can reach {s} at {v} now.", "{s}'s mobile is {v} now.",
    ), ("What is {s}'s phone number?", "What number do I call to reach {s}?")),
    Attribute("email", "email", tuple(
        f"{a}.{b}@{c}.example" for a, b, c in zip(
            _list("blue, fast, kind, wild, calm, odd, tall, warm, new, red, old, dry, shy, sly, big") * 2,
            _list("heron, otter, maple, comet, pixel, raven, acorn, tulip, drum, anchor, ferry, pebble, lemon, onion, kayak") * 2,
            _list("post, mail") * 15, strict=True)
    ), (
        "My new email is {v}.", "My email address changed to {v}.", "You can email me at {v} now.",
        "Write to me at {v} from now on.", "I switched my email to {v}.", "I have a new email address: {v}.",
        "My e-mail is {v} now.", "I changed my email to {v}.", "My email address is now {v}.",
        "I got a new e-mail address, it's {v}.", "Please use {v} as my email.",
        "Send mail to {v} from now on, that's my new address.", "New email address: {v}.",
        "I've moved my email to {v}.", "Please note my new email, {v}.", "Reach me by email at {v}.",
    ), (
        "{s}'s email is now {v}.", "{s} has a new email address: {v}.", "{s} changed her email to {v}.",
        "{s}'s new email is {v}.", "You can email {s} at {v} now.", "{s} switched to a new email, {v}.",
    ), ("What is {s}'s email address?", "How can I email {s}?")),
    Attribute("car", "car", _list(
        "Volvo V60, Fiat Panda, Mini Cooper, Honda Jazz, Mazda 3, Skoda Fabia, Kia Niro, Dacia Duster, Ford Focus, Toyota Yaris, "
        "Renault Zoe, Opel Corsa, Tesla Model 3, Subaru Forester, Seat Ibiza, Nissan Leaf, Peugeot 208, Audi A3, Jeep Renegade"
    ), (
        "I drive a {v} now.", "My new car is a {v}.", "I bought a {v}.", "I got a new car, a {v}.",
        "I traded my car in for a {v}.", "I'm driving a {v} these days.", "I've switched to a {v} as my car.",
        "I replaced my car with a {v}.", "My car is a {v} now.", "I swapped my old car for a {v}.",
        "I've got a {v} as my car now.", "I've bought myself a new car, a {v}.",
        "I picked up my new car today, a {v}.", "I purchased a {v}.", "I have a new car: a {v}.",
        "I upgraded my car to a {v}.",
    ), (
        "{s} drives a {v} now.", "{s} bought a {v}.", "{s}'s new car is a {v}.", "{s} traded his car in for a {v}.",
        "{s} got a new car, a {v}.", "{s} is driving a {v} these days.",
    ), ("What car does {s} drive?", "Which car does {s} have now?")),
    Attribute("food", "favourite food", _list(
        "ramen, lasagna, tacos, paella, goulash, dumplings, risotto, falafel, pierogi, curry, moussaka, gnocchi, bibimbap, "
        "shakshuka, poutine, ceviche, fish stew, pad thai, couscous, empanadas, schnitzel, chili"
    ), (
        "My favourite food is {v}.", "My favorite food is {v} now.", "My favorite dish is now {v}.",
        "My go-to meal is {v} these days.", "{v} is my favourite food now.", "{v} has become my favourite dish.",
        "My favourite food changed to {v}.", "My new favourite food is {v}.",
        "My favourite meal is {v} at the moment.", "{v} is my new favourite food.",
        "These days my favourite food is {v}.", "The food I like best is {v} now.", "My favorite thing to eat is {v}.",
        "My absolute favourite food is {v}.", "My favourite dish has changed to {v}.",
        "Of all foods I like {v} best now.",
    ), (
        "{s}'s favourite food is {v}.", "{v} is {s}'s favourite food now.", "{s}'s favorite dish is now {v}.",
        "{s}'s new favourite food is {v}.", "{s}'s favourite food changed to {v}.", "{s}'s go-to meal is {v}.",
    ), ("What is {s}'s favourite food?", "Which food does {s} like best?")),
    Attribute("color", "favourite color", _list(
 
        "teal, crimson, olive, violet, amber, turquoise, magenta, indigo, beige, maroon, orange, navy, "
        "coral, lavender, mint, grey"
    ), (
        "My favourite colour is {v}.", "My favorite color is {v} now.", "My favourite color changed to {v}.",
        "{v} is my favourite colour now.", "My new favorite color is {v}.", "{v} has become my favorite color.",
        "{v} is my new favourite colour.", "The color I like best is {v} now.",
        "These days my favourite colour is {v}.", "My favourite colour has switched to {v}.",
        "My favorite colour is now {v}.", "My preferred colour is {v} now.", "My go-to color is {v} now.",
        "Of all colours I like {v} best now.", "My favourite colour became {v}.", "My absolute favorite color is {v}.",
    ), (
        "{s}'s favourite colour is {v}.", "{s}'s favorite color is {v} now.", "{v} is {s}'s favourite colour now.",
        "{s}'s favourite colour changed to {v}.", "{s}'s new favorite color is {v}.",
        "{v} has become {s}'s favourite color.",
    ), ("What is {s}'s favourite colour?", "Which color does {s} like best?")),
    Attribute("film", "favourite film", _list(
        "Paddington, Casablanca, Alien, Amadeus, Jaws, Heat, Spirited Away, Vertigo, Amélie, Inception, Rocky, Chinatown, "
        "Fargo, Arrival, Ratatouille, The Matrix, Gattaca, Tootsie, Braveheart, Moonlight, Parasite, Brazil"
    ), (
        "My favourite film is {v}.", "My favorite movie is {v} now.", "{v} is my favourite film now.",
        "My all-time favorite movie is {v}.", "My favourite film is now {v}.", "{v} has become my favorite movie.",
        "My new favourite movie is {v}.", "{v} is my new favourite movie.", "My favourite movie changed to {v}.",
        "These days my favourite film is {v}.", "My favorite film has changed, it's {v} now.",
        "The film I like best is {v} now.", "{v} just became my favourite film.", "My number one film is {v} now.",
        "My absolute favourite movie is {v}.", "Of all films I like {v} best now.",
    ), (
        "{s}'s favourite film is {v}.", "{v} is {s}'s favourite movie now.", "{s}'s favorite movie is now {v}.",
        "{s}'s new favourite film is {v}.", "{s}'s favourite film changed to {v}.",
        "{v} has become {s}'s favourite film.",
    ), ("What is {s}'s favourite film?", "Which movie does {s} like best?")),
    Attribute("gym", "gym", _list(
        "Iron Temple, Pulse Club, Fit Factory, Urban Lift, Northside Gym, Peak Studio, Barbell House, Core Lab, Titan Hall, "
        "Green Room Gym, Flex Yard, Steel Barn, Motion Loft, Granite Gym, River Fitness"
    ), (
        "My gym is {v} now.", "I work out at {v} now.", "I switched gyms to {v}.", "I joined a new gym, {v}.",
        "I train at {v} these days.", "My new gym is {v}.", "I go to the gym at {v} now.", "I changed my gym to {v}.",
        "I moved my gym membership to {v}.", "I'm a member of the gym {v} now.", "I signed up at a new gym, {v}.",
        "I do my training at {v} now.", "I've got a new gym: {v}.",
        "I've been exercising at {v} lately, that's my gym now.", "My gym changed to {v}.",
        "I'm working out at {v} these days.",
    ), (
        "{s}'s gym is now {v}.", "{s} works out at {v} now.", "{s} switched gyms to {v}.",
        "{s} trains at {v} these days.", "{s} joined a new gym, {v}.", "{s}'s new gym is {v}.",
    ), ("Which gym does {s} go to?", "Where does {s} work out?")),
    Attribute("diet", "diet", _list("vegan, vegetarian, pescatarian, keto, paleo, gluten-free"), (
        "I went {v}.", "I'm {v} now.", "I've gone {v}.", "I am on a {v} diet now.", "I've switched to a {v} diet.",
        "I eat {v} now.", "I became {v}.", "I turned {v}.", "My diet is {v} now.", "I follow a {v} diet these days.",
        "I'm eating {v} these days.", "I've started a {v} diet.", "I changed my diet to {v}.",
        "I'm on a {v} regimen these days.", "I've adopted a {v} diet.", "I keep to a {v} diet now.",
    ), (
        "{s} went {v}.", "{s} is {v} now.", "{s} has gone {v}.", "{s} is on a {v} diet now.",
        "{s} switched to a {v} diet.", "{s} became {v}.",
    ), ("What diet does {s} follow?", "What kind of diet is {s} on?")),
    Attribute("partner", "relationship", _list(
        "Luca, Marisol, Theo, Ingrid, Jasper, Noor, Callum, Bianca, Emre, Saskia, Diego, Freya, Matteo, Yuki, Anton, Zara"
    ), (
        "I'm dating {v} now.", "I'm in a relationship with {v}.", "{v} and I are a couple now.",
        "I've started seeing {v}.", "I got engaged to {v}.", "I'm going out with {v} now.",
        "I'm together with {v} now.", "My new partner is {v}.", "I started dating {v}.",
        "I'm with {v} now, we're a couple.", "My partner is {v} now.", "I got married to {v}.",
        "{v} and I are dating.", "I married {v}.", "I'm seeing {v} these days.", "{v} and I are together now.",
    ), (
        "{s} is dating {v} now.", "{s} is in a relationship with {v}.", "{s} and {v} are a couple now.",
        "{s} started seeing {v}.", "{s} got engaged to {v}.", "{s} is going out with {v} now.",
    ), ("Who is {s}'s partner?", "Who is {s} dating?", "Who is {s} in a relationship with?")),
    Attribute("dog", "dog name", _list(
        "Biscuit, Rex, Pepper, Ziggy, Waffles, Bruno, Nala, Otis, Pickle, Rufus, Cocoa, Banjo, Maple, Tofu, Scout, Gizmo, Domino"
    ), (
        "My dog's name is {v}.", "My dog is called {v}.", "My dog is named {v} now.",
        "My dog goes by the name of {v} now.", "We've renamed our dog {v}.", "I renamed my dog {v}.",
        "The name of my dog is {v}.", "My dog is now called {v}.", "We named our dog {v}.",
        "Our dog's name changed to {v}.", "Our dog is {v} now.", "Our dog has a new name: {v}.",
        "Our dog's name is {v} now.", "My dog's new name is {v}.", "Our dog goes by {v} now.",
        "I call my dog {v} now.",
    ), (
        "{s}'s dog is called {v}.", "{s} renamed her dog {v}.", "{s}'s dog's name is {v}.",
        "{s} calls his dog {v} now.", "{s}'s dog is named {v} now.", "The name of {s}'s dog is {v}.",
    ), ("What is the name of {s}'s dog?", "What is {s}'s dog called?")),
    Attribute("deadline",
    "deadline", tuple(f"{m} {d}" for m in _list("March, May, July, September, November") for d in (
        2, 5, 9, 14, 17, 21, 26, 30)), (
        "The deadline of {p} is {v}.", "The {p} deadline moved to {v}.", "{p} is due on {v} now.",
        "The deadline for {p} is now {v}.", "We moved the {p} deadline to {v}.", "The new deadline for {p} is {v}.",
        "The {p} deadline is {v}.", "We have to deliver {p} by {v}.", "The deadline of {p} was moved to {v}.",
        "The due date for {p} is {v}.", "They pushed the {p} deadline to {v}.",
        "The {p} deadline got postponed to {v}.", "The {p} project is due {v}.", "{p}'s deadline is {v} now.",
        "The deadline of {p} changed to {v}.", "We've extended the {p} deadline to {v}.",
    ), (
        "The deadline of {p} is {v}.", "{s} moved the {p} deadline to {v}.", "The {p} deadline is {v} now.",
        "{p} is due on {v}.", "{s} pushed the {p} deadline to {v}.", "The {p} deadline changed to {v}.",
    ), ("When is the {p} deadline?", "What is the deadline of {p}?"), "{p}"),
    Attribute("feeling", "feeling about {x}", ("likes", "dislikes"), (
        "I love {x}.|I hate {x}.", "I really like {x} now.|I don't like {x} anymore.",
        "I'm into {x} these days.|I can't stand {x}.", "I've come to love {x}.|I've come to hate {x}.",
        "I enjoy {x} now.|I dislike {x} now.", "I've grown fond of {x}.|I'm tired of {x}.",
        "I adore {x}.|I detest {x}.", "I started liking {x}.|I stopped liking {x}.",
        "I'm a big fan of {x}.|I'm not a fan of {x}.", "I like {x} a lot.|I do not like {x} at all.",
        "I'm crazy about {x}.|I've gone off {x}.", "I fell in love with {x}.|I no longer enjoy {x}.",
        "I'm keen on {x}.|I'm sick of {x}.", "I've learned to love {x}.|I can't bear {x}.",
        "I'm fond of {x} now.|I loathe {x}.", "I'm really enjoying {x} lately.|I'm fed up with {x}.",
    ), (
        "{s} loves {x}.|{s} hates {x}.", "{s} likes {x} now.|{s} doesn't like {x} anymore.",
        "{s} enjoys {x}.|{s} can't stand {x}.", "{s} is into {x} now.|{s} dislikes {x}.",
        "{s} adores {x}.|{s} no longer likes {x}.", "{s} is a fan of {x}.|{s} is tired of {x}.",
    ), ("How does {s} feel about {x}?", "Does {s} like {x}?")),
    Attribute("editor", "editor", _list(
        "Vim, Emacs, Helix, Zed, Sublime Text, VS Code, Kakoune, Nano, PyCharm, Neovim, TextMate, Kate, Atom, Geany, Cursor"
    ), (
        "My editor is {v} now.", "I switched my editor to {v}.", "I use {v} as my editor.",
        "My preferred editor is {v}.", "My favourite editor is now {v}.", "I've switched to {v} as my editor.",
        "My editor of choice is {v} now.", "I write all my code in {v} now.", "I changed my editor to {v}.",
        "My main editor is {v} these days.", "{v} is my editor now.", "I'm using {v} as my text editor now.",
        "My go-to editor is {v}.", "I prefer {v} as my editor now.", "My text editor is {v} now.",
        "I replaced my editor with {v}.",
    ), (
        "{s}'s editor is {v} now.", "{s} switched to {v} as an editor.", "{s} uses {v} as an editor.",
        "{s}'s preferred editor is {v}.", "{s} switched her editor to {v}.", "{s}'s editor of choice is {v} now.",
    ), ("Which editor does {s} use?", "What is {s}'s preferred editor?")),
)  # fmt: skip


def with_article(words: str) -> str:
    """Return "an architect" for "architect"."""
    return f"{'an' if words[0].lower() in 'aeiou' else 'a'} {words}"


def say(attribute: Attribute, template: str, value: str, who: str, project: str, thing: str) -> str:
    """Return the sentence that states this value."""
    if "|" in template:
        template = template.split("|")[0 if value == "likes" else 1]
    words = {"v": value, "a": with_article(value), "s": who, "p": project, "x": thing}
    text = template.format(**words)
    return text[0].upper() + text[1:]
