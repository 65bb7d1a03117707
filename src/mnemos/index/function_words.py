"""Function words by language, which tell languages of one script apart and say little about what a text is about."""

from __future__ import annotations

from functools import cache

ENGLISH = (
    "a an the of to in on at for with and or but nor is are was were be been being am do does did doing done have has "
    "had having i you he she it we they me him her them us my mine your yours his hers its our ours their theirs this "
    "that these those what which who whom whose when where why how will would can could shall should may might must "
    "from by about as into onto than then so if not no any all some there here up out off over just also too very s t "
    "d ll re ve m don didn doesn isn wasn weren won wouldn can couldn shouldn hasn haven hadn"
)
COMMON = (  # English words that say so where a text has no function word
    "yes yeah ok okay hi hello hey bye goodbye thanks thank please sorry sure wow cool nice great good better best bad well "
    "really right maybe never always often again still even much many more most few little other same own such only yet ever "
    "go goes going went gone get gets getting got make makes made making take takes taking took taken see sees saw seen know "
    "knows knew think thinks thought want wants wanted say says said tell told come comes came coming give gives gave look "
    "looks looking find found use used work works working worked try tried need needs feel feels felt let lets keep kept put "
    "help start love loves loved like likes liked live lives lived care hope talk play read day days today tomorrow yesterday "
    "week weeks month year years time times morning night way thing things something anything everything nothing someone "
    "people man men woman women child children kid kids family friend friends home house job school city country world life "
    "name number money car book new old big small long first last next one two three four five after before because while "
    "since until during between without under around away back down every each both another through around once soon later "
    "moved move bought buy lunch dinner party trip birthday mother father mom dad sister brother son daughter"
)
LATIN = {  # by ISO 639-1
    "de": "in so mehr habe gibt mag heißt heisst wohnt wohne lebt lebe ja nein heute gestern morgen "
    "der die das und ist nicht ein eine einen einem einer eines zu mit auf für von dem den des im ich du er sie "
    "es wir ihr sich auch als an bei nach wie war waren sind hat haben habe hatte wird werden wurde aber oder "
    "wenn dass wo was wer wen wem wann warum welche welcher welches über aus noch nur kann mein meine meinen dein "
    "sein seine ihre vom zum zur am bis um unter durch gegen mich mir dich dir uns kein keine gibt",
    "nl": "in woont woon heb hebt ben gisteren vandaag morgen ja nee meer "
    "de het een en van is dat niet ik je hij zij wij op te met voor zijn er aan als ook maar om naar heeft hebben "
    "had was waren wordt worden werd bij uit door over dan nog wat wie waar wanneer waarom welke hoe mijn jouw "
    "ons onze deze dit die kan geen hoeveel",
    "sv": "i bor heter mina mitt kommer idag igår "
    "och att det är en ett som på för av med den till inte har jag du han hon vi de om var när vad vem hur varför "
    "vilken vilket vilka från eller men så kan ska mig dig sin sitt min mitt hade blev under efter där här ja "
    "många mycket",
    "da": "i bor hedder mine kommer ja nej jeg "
    "og at det er en et som på for af med den til ikke har jeg du han hun vi de om var når hvad hvem hvor hvorfor "
    "hvilken hvilket fra eller men så kan skal mig dig sin sit min mit havde blev under efter der her mange meget",
    "no": "i bor heter mine kommer ja nei jeg "
    "og å det er en et som på for av med den til ikke har jeg du han hun vi de om var når hva hvem hvor hvorfor "
    "hvilken hvilket fra eller men så kan skal meg deg sin sitt min mitt hadde ble under etter der her mange mye",
    "fr": "habite suis avons avez ai as es sommes aime oui non hier demain mange "
    "le la les un une des du de et est que qui dans pour sur avec pas ne je tu il elle nous vous ils elles ce "
    "cette ces au aux par plus son sa ses mon ma mes où quand quel quelle quels quelles comment pourquoi était "
    "sont ont été mais ou leur leurs se en y qu d l n j c combien",
    "es": "tengo tiene soy eres somos vivo viven gusta ayer hoy sí "
    "el la los las un una unos unas de del y es que en por para con no se su sus lo al como más pero fue está "
    "están son era han ha mi mis tu te me nos dónde cuándo qué quién quiénes cuál cuáles cuántos cuántas cuánto "
    "cómo donde cuando quien este esta estos sin sobre entre también muy ya o hay yo él ella vive vivo",
    "it": "in ho hai abbiamo due sto sta vivo vive abito abita ieri oggi sì "
    "il lo la i gli le un una uno di del della dei delle degli dello dell e è che in per con non si su al alla ai "
    "alle da dal dalla nel nella sono era ha hanno mi ti ci suo sua suoi mio mia come più ma dove quando chi "
    "quale quali quanto quanti quante perché cosa questo questa anche o io lui lei noi l",
    "pt": "tenho moro mora gosto ontem hoje sim não minhas meus "
    "o a os as um uma de do da dos das e é que em no na nos nas por para com não se seu sua ao à como mais mas "
    "foi está são era tem meu minha onde quando qual quais quem quantos quantas ou também este esta isso ele ela "
    "eu você pelo pela",
    "ro": "și şi este un o de la în din pe cu nu care ce să a al ale ai au fost sunt era pentru mai că cum unde când "
    "cine câte câţi prin sau dar lui ei lor eu tu el ea noi meu mea într se",
    "ca": "el la els les un una de del dels i és que en per amb no es al com més però va ha són era meu meva on quan "
    "qui quin quina quants també o jo ell",
    "pl": "w i na z do że się nie jest to o jak po co ale za od przez dla był była było są ma jego jej ich ten ta te "
    "tego który która które gdzie kiedy kto dlaczego ile czy mój moja ja ty on ona my mnie ze oraz",
    "cs": "a v na se je že to s z do o ve k pro jako by si po za od jsem jsou byl byla bylo ale nebo kde kdy kdo co jak "
    "proč který která které můj moje já ty on ona ten ta i u",
    "sk": "a v na sa je že to s z do o vo k pre ako by si po za od som sú bol bola bolo ale alebo kde kedy kto čo prečo "
    "ktorý ktorá ktoré môj moje ja ty on ona",
    "hu": "a hol van vannak "
    "a az és hogy nem egy is ez van volt meg de ha csak el már mint vagy ki mi hol mikor miért hogyan melyik hány "
    "én te ő ti ők lesz be fel le vagyok",
    "fi": "asun asuu missa kissa talo "
    "ja on ei se että oli hän joka mutta ovat olen minä sinä he me myös kun niin kuin tai missä milloin mikä kuka "
    "miksi miten mitä kuinka minun sinun hänen tämä tämän siitä jos ole olla",
    "et": "ja on ei see et oli ta mis kes aga ka kui või siis kus millal miks kuidas mina sina tema minu sinu selle nii "
    "oma pole ma",
    "tr": "nerede evde evim annem babam bugün dün yarın yarin evet hayır hayir nerededir "
    "ve bir bu da de için ile çok ne o mi mu mü daha gibi kadar ama var yok olan olarak en ki ben sen biz siz "
    "onun benim nerede zaman kim hangi nasil neden kaç değil olduğu",
    "id": "yang dan di ke dari ini itu untuk dengan tidak adalah pada dalam akan saya kamu dia kami kita mereka ada "
    "juga sudah telah oleh atau bisa apa siapa mana kapan mengapa bagaimana berapa karena",
    "lt": "ir yra kad į iš su ne tai kaip bet ar buvo jis ji aš tu mes jie kur kada kas kodėl kiek jo jos mano tavo "
    "prie nuo apie už",
    "lv": "un ir ka uz no ar nav tas kā bet vai bija viņš viņa es tu mēs kur kad kas kāpēc cik mans tavs par pie",
    "hr": "i je u na se da za od su sa ne to kao ali ili bio bila što koji koja koje gdje gde kada ko tko zašto kako "
    "koliko moj moja ja ti on ona mi vi sam",
    "sl": "in je v na se da za od so s z ne to kot ali pa bil bila ki kje kdaj kdo zakaj kako koliko moj moja jaz ti on "
    "ona sem",
    "eu": "eta da ez du dira zen bat hau hori nik zu non noiz nor zer nola zenbat baina ere naiz",
    "ga": "agus an na is ar i ní tá bhí sé sí mé tú le do go cá cathain cé conas",
    "vi": "và của là có không được trong một những cho với các này đã người tôi ở đâu khi nào ai gì bao nhiêu từ đến",
    "sw": "na ya wa ni kwa katika la za si hii hiyo yake wake yangu wapi nani nini lini kwamba au",
    "tl": "ang ng sa mga at ay na si ako ikaw siya ito hindi saan sino ano kailan nasa ko mo",
    "af": "die en is van het nie ek jy hy sy ons dit wat wie waar wanneer hoekom hoe met vir op te om maar ook my",
    "sq": "dhe në është një për me që nuk të e i ka unë ti ai ajo ku kur kush çfarë pse",
}  # fmt: skip
CYRILLIC = {
    "ru": "и в не на что я он с как это по но она его к все так у же за бы от о из ты мы вы был была было где когда кто "
    "почему сколько какой какая какие мой моя для или при до",
    "uk": "і в не на що я він з як це по але вона його до все так у за від о та ти ми ви був була було де коли хто чому "
    "скільки який яка які мій моя для або при є",
    "bg": "и в не на че аз той с как това по но тя го до се за от да ти ние вие беше е са къде кога кой защо колко коя "
    "кои моя или при със съм",
    "sr": "и је у на се да за од су са не то као али или био била што који која које где када ко зашто како колико мој "
    "моја ја ти он она ми ви сам",
    "mk": "и е во на се да за од со не тоа како но или беше што кој која кои каде кога зошто колку мој моја јас ти тој "
    "таа сум",
}  # fmt: skip
ARABIC = {
    "ar": "في من على علي الى الي ان عن مع هذا هذه التي الذي كان كانت هو هي انا انت لا ما لم قد اين متى متي كيف كم لماذا "
    "هل",
    "fa": "و در به از كه این اين را با است برای براي ان يك تا خود هم من تو او ما شما بود كجا چه چرا چند",
    "ur": "اور كا كي كے ميں هے سے كو نے پر هيں يه وه تها تهي كيا كهاں كب كون كيوں كتنے ميرا ميري",
}  # fmt: skip
DEVANAGARI = {
    "hi": "है हैं का की के में से को और पर यह वह था थी थे ने भी मैं तुम हम कहा कहां कब कौन क्या क्यों कितने मेरा मेरी "
    "नहीं एक",
    "mr": "आहे आहेत आणि मी तो ती ते हा ही हे च्या चा ची चे मध्ये कुठे कधी कोण का किती माझा माझी नाही होता होती",
    "ne": "छ छन् हो र को का की मा ले लाई म तिमी उ हामी कहां कहिले को किन कति मेरो छैन थियो थिए पनि",
}  # fmt: skip
HEBREW = {
    "he": "של את על לא זה הוא היא אני אתה עם כי גם או אם מה מי איפה מתי למה כמה היה היתה יש אין",
    "yi": "און איז די דער דאס ניט מיט פון אויף איך דו ער זי מיר אין וואס ווער וואו ווען",
}  # fmt: skip
LETTERS = {  # that few languages of a script use
    "ß": "de", "ı": "tr", "ä": "de sv fi et sk", "ö": "de sv fi tr hu et", "ü": "de tr hu et", "å": "sv da no",
    "æ": "da no", "ø": "da no", "ñ": "es", "¿": "es", "¡": "es", "ã": "pt vi", "õ": "pt et vi", "ç": "pt fr tr ca sq",
    "ğ": "tr", "ş": "tr ro", "ţ": "ro", "ă": "ro vi", "â": "ro fr pt vi", "î": "ro fr", "œ": "fr", "è": "fr it ca",
    "ê": "fr pt vi", "ë": "nl fr sq af", "ű": "hu", "ő": "hu", "ł": "pl", "ż": "pl", "ą": "pl lt", "ę": "pl lt",
    "ś": "pl", "ř": "cs", "ě": "cs", "ů": "cs", "ý": "cs sk vi", "č": "cs sk hr sl lt lv",
    "š": "cs sk hr sl lt lv et", "ž": "cs sk hr sl lt lv et", "đ": "hr vi", "ć": "hr pl", "ė": "lt", "ų": "lt",
    "ā": "lv", "ē": "lv", "ī": "lv", "ľ": "sk", "ĺ": "sk", "ơ": "vi", "ư": "vi", "ĳ": "nl", "і": "uk", "ї": "uk",
    "є": "uk", "ґ": "uk", "ы": "ru", "э": "ru", "ъ": "bg", "ј": "sr mk", "љ": "sr", "њ": "sr", "ђ": "sr", "ћ": "sr",
    "џ": "sr mk", "ѓ": "mk", "ќ": "mk", "ѕ": "mk", "پ": "fa ur", "چ": "fa ur", "ژ": "fa", "گ": "fa ur", "ٹ": "ur",
    "ڈ": "ur", "ڑ": "ur", "ں": "ur", "ळ": "mr",
}  # fmt: skip


@cache
def votes() -> dict[str, tuple[str, ...]]:
    """Return for each function word the languages that have it."""
    found: dict[str, list[str]] = {}
    groups = ({"en": f"{ENGLISH} {COMMON}"}, LATIN, CYRILLIC, ARABIC, DEVANAGARI, HEBREW)
    for words in groups:
        for language, text in words.items():
            for word in text.split():
                found.setdefault(word, []).append(language)
    return {word: tuple(dict.fromkeys(languages)) for word, languages in found.items()}


@cache
def letters() -> dict[str, tuple[str, ...]]:
    """Return for each telling letter the languages that have it."""
    return {letter: tuple(languages.split()) for letter, languages in LETTERS.items()}


@cache
def foreign() -> frozenset[str]:
    """Return the ASCII function words of other Latin languages that are no English words."""
    return frozenset(word for word, spoken in votes().items() if word.isascii() and "en" not in spoken)


@cache
def of_language(language: str) -> frozenset[str]:
    """Return the function words of a language; none for one that is not listed."""
    for words in (LATIN, CYRILLIC, ARABIC, DEVANAGARI, HEBREW):
        if language in words:
            return frozenset(words[language].split())
    return frozenset()
