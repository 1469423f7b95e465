"""a path segment -> its words, and what English words are to a URI: verb, noun, or both; singular or plural."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a segment, lower case, with its offsets in the segment; ``hump`` if a capital starts it."""

    text: str
    start: int
    end: int
    hump: bool


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")


def split_words(segment: str) -> list[Word]:
    """
    Split *segment* at hyphens, underscores, dots, digits and camel humps.

    >>> [w.text for w in split_words("getHTTPUser-by_id2")]
    ['get', 'http', 'user', 'by', 'id']
    """
    out = []
    for m in _WORD.finditer(segment):
        text, start = m.group(), m.start()
        if len(text) > 1 and text.isupper() and text.isascii() and segment[m.end() : m.end() + 1].islower():
            text = text[:-1]  # HTTPUser: the last capital belongs to the next word, which the pattern starts there
        out.append(Word(text.lower(), start, start + len(text), text[0].isupper() and start > 0))
    return out


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


CRUD_ONLY = _set(
    "create add insert save get fetch retrieve obtain update edit modify delete remove destroy erase"
    " purge prune upsert"
    " find del"
)
"""Verbs of create, read, update and delete that name no resource. ``update`` and ``save`` do, in the plural alone."""

CRUD_OR_NOUN = _set("list query read load set put patch new change drop post select search")
"""The same verbs that are also nouns or adjectives: their place in the path decides."""

CHANGING = _set(
    "create add insert save update modify delete remove destroy erase purge upsert del drop clear reset"
    " cancel approve"
    " reject activate deactivate enable disable publish archive"
)
"""Verbs that a safe method must not do. ``edit`` and ``new`` are left out: a GET of them is a form."""

ACTIONS = _set(
    "generate cancel confirm clear export upload download pay send submit approve reject activate deactivate enable"
    " disable start stop restart pause resume validate verify register reset refresh sync synchronize execute run"
    " calculate compute convert publish unpublish archive unarchive restore assign unassign invite join"
    " follow unfollow"
    " unlike subscribe unsubscribe lock unlock unblock ban unban reopen merge move clone share apply rename transfer"
    " toggle revoke accept decline deny import shorten resend notify evaluate analyze analyse predict train deploy"
    " rollback install uninstall attach detach connect disconnect show display check make perform process handle"
    " authenticate authorize greet shuffle redeem refund withdraw mark complete finish begin end initialize init"
)
"""Verbs beyond create, read, update and delete."""

_COMPOUNDS = {
    "add": "on ons in ins up",
    "insert": "order orders",
    "get": "started away together",
    "update": "center centre manager channel channels server servers policy policies frequency interval notes stream",
    "save": "point points game games file files state states slot slots",
    "edit": "mode session sessions rights distance lock locks suggestion suggestions",
    "delete": "marker markers",
    "find": "my",
    "list": (
        "page pages box boxes id ids name names item items price prices entry entries view views"
        " setting settings type types owner owners"
    ),
    "query": (
        "set sets param params parameter parameters string strings result results plan plans"
        " builder language engine job"
        " jobs execution executions statistic statistics stats type types template templates id insight insights cache"
    ),
    "read": (
        "id ids page pages replica replicas model models only receipt receipts status access list"
        " lists me time state states marker"
        " markers rate position later"
    ),
    "load": "balancer balancers balancing test tests testing average averages factor factors profile profiles time"
    " times status level levels curve curves list lists board boards",
    "set": "list lists top point points piece pieces back backs",
    "put": "option options call calls",
    "patch": "note notes panel panels level levels version versions set sets file files management cable cables",
    "new": "year york zealand moon relic hire hires arrival release",
    "change": (
        "request requests log logs set sets order orders event events management feed feeds"
        " detection type types"
        " list lists note notes control data stream streams rate rates point points capture"
    ),
    "drop": "off offs down downs box boxes zone zones ship shipping point points rate rates list lists",
    "post": (
        "code codes office offices id type types tag tags category categories status meta detail"
        " details info data"
        " image list page card cards box boxes man doc production processing mortem mortems author history"
    ),
    "select": "option options box boxes",
    "search": (
        "page pages box boxes id ids result results history engine engines term terms query"
        " queries suggestion suggestions index indexes"
        " indices filter filters criteria setting settings service services"
    ),
    "refresh": "token tokens rate rates interval",
    "export": "job jobs task tasks file files format formats template templates config configuration",
    "import": "job jobs task tasks file files format formats template templates",
    "download": "link links url urls count counts history",
    "upload": "url urls link links session sessions",
    "share": "link links price prices holder holders",
    "check": "list lists point points in ins out outs sum sums run runs suite suites up ups",
    "start": "date time up ups page",
    "stop": "word words loss list lists",
    "end": "date point points time user users",
    "run": "time times book books",
    "train": "station stations schedule schedules line lines",
    "process": "definition definitions instance instances group groups",
    "display": "name names setting settings",
    "show": "time times room rooms case cases",
    "complete": "list",
    "mark": "down up",
    "transfer": "job jobs request requests order orders",
    "move": "ment",
    "notify": "url urls",
    "lock": "screen",
    "pay": "roll rolls ment check checks period periods",
    "make": "up",
    "sync": "job jobs status state token tokens",
    "register": "",
}
COMPOUNDS = {verb: _set(words) for verb, words in _COMPOUNDS.items()}
"""Second words after which the verb-like first word is part of a noun: ``add-ons``, ``load-balancers``."""

RECORD_HEADS = _set("history histories log logs")
PLURAL_HEADS = _set("requests events policies permissions rights markers points operations intervals")
"""Heads that make ``update-history`` and ``delete-requests`` nouns (not ``getHistory``: that verb makes no noun)."""
NEVER_NOUN = _set("get fetch retrieve obtain create add insert find del upsert")

DETERMINERS = _set("all by every each any my our one many multiple some single current latest available list")
"""Words after which a verb-like first word is a verb: ``list-all``, ``find-by-name``."""

SUFFIX_VERBS = _set("create add insert save get fetch retrieve update edit modify delete remove destroy upsert del")
"""Verbs that also count at the end: ``bulk-delete``, ``userCreate``."""

UPDATE_ADJECTIVES = _set(
    "last latest next recent auto software firmware system status security price app application version live daily"
    " weekly market news quick instant pre post value"
)
"""Words after which ``update``, ``save`` or ``add`` at the end is a noun: ``last-update``."""

NAMESPACES = _set(
    "api apis rest rpc service services v public private internal external admin app web mobile backend"
    " open auth oauth"
    " gateway portal server client common base sys system mgmt management manage ajax json graphql data"
)
"""First segments that name no resource."""

EXTENSIONS = _set("json xml html htm do action php jsp asp aspx cgi")

_BEFORE_LIST = _set("shopping wish todo play mailing price black white allow deny wait watch check packing guest task")
_BEFORE_SET = _set("data character result change skill card box training test rule record working")
BEFORE = {"list": _BEFORE_LIST, "set": _BEFORE_SET, "query": _set("graphql saved sql"), "change": _set("climate")}
"""Segments after which ``list`` and ``set`` are nouns: ``/shopping/list``."""

NOUNS = _set(
    "account activity actor address admin advert agent alarm album alert animal answer app appointment"
    " area article asset"
    " attachment attribute auction author badge balance bank banner basket batch bill blob blog board"
    " body book booking"
    " box branch brand bucket budget bug building bus business button cache calendar call campaign candidate car card"
    " cart case cat category cfg channel chapter chart chat city claim class classroom client cluster code collection"
    " color column comment company component config configuration connection consumer contact container"
    " content contract"
    " conversation cookie country coupon course credential credit customer dashboard data database"
    " dataset date day deal"
    " department deployment desk detail device dish district doc doctor document dog domain download"
    " draft driver drug"
    " email employee employer endpoint engine entity entry environment error event exam example executor expense"
    " experiment favorite feature feed feedback field file film filter flight folder food form forum friend function"
    " game gateway group guest history holiday home host hotel house id image info information ingredient instance"
    " interview inventory invitation invoice issue item job journal key keyword lab label language lead league lesson"
    " level library license line link list loan location log lot machine mail manager map match material meal media"
    " meeting member membership menu message metadata metric milestone model module month movie museum"
    " name network node"
    " note notification number object offer office operation operator option order organization owner"
    " package page param"
    " parameter parent part partner password patient payment permission person pet phone photo picture"
    " place plan player"
    " playlist plugin point policy poll position post preference price product profile program project promotion"
    " property provider purchase query question queue quiz quote rating reader receipt recipe record region relation"
    " report reservation resource restaurant result review reward role room route rule salary sale"
    " sample schedule school"
    " score season seat section seller sensor server service session set setting shift ship shipment"
    " shop show site skill"
    " snapshot song source space staff stage station statistic status step stock store story student subject"
    " subscription supplier survey symbol table tag target task tax team template tenant term test text thread ticket"
    " time timer title todo token tool topic tour track trade train transaction transfer trip type unit"
    " upload url user"
    " username value variable vehicle vendor version video view visit visitor volume voucher wallet warehouse webhook"
    " website week widget word worker workflow workspace year zone"
)
"""Nouns that name resources in APIs, singular."""

CREATED = NOUNS - _set(
    "book box buy call catalog chat city color column comment condition content data database date day"
    " email exam feature"
    " feed field file filter form history home host id image info information key keyword language level"
    " list loan location"
    " log login mail map match media message metadata model month name network offer operation page"
    " param part password"
    " phone photo picture plan point poll position post price profile program query question queue quiz rating record"
    " report result review role route rule sale schedule score search season sensor session set setting"
    " shift ship shop"
    " show site source space stage status step stock store story style table tag target task test text"
    " time timer title"
    " token tool topic track trade train transfer type unit upload url value video view vote voucher"
    " wallet word year zone"
) | _set("book comment image message photo picture post question record report review role rule story tag task")
"""Nouns that POST creates a member of: ``POST /user``. Left out is what is also a verb (``filter``) or one per owner."""  # noqa: E501

_NEVER_GLUED = {
    "create": "s d r rs ur urs",
    "delete": "s d r rs rious",
    "update": "s d r rs",
    "remove": "s d r rs",
    "retrieve": "s d r rs",
    "insert": "s ed er ers ion ions ing able",
    "modify": "ing",
    "destroy": "s ed er ers ing",
    "fetch": "es ed er ers ing",
    "get": "s away aways ter ters ting table up ups ty text it tysburg afe around along",
    "find": "s er ers ing ings able out",
    "upsert": "s ed ing er",
}
GLUED = {verb: _set(rest) for verb, rest in _NEVER_GLUED.items()}
"""Verbs that no other English word begins with, but for these endings: ``createpost`` is create + post."""

GLUED_BEFORE_NOUN = _set("add save edit list set new change query read load drop del select search")
"""Verbs that words do begin with (``address``): what follows has to be a known noun, or a word of the path."""
_NOT_GLUED = _set(
    "setlist setlists newsletter newsroom newsfeed readlist listview newscast newsgroup changeset changesets queryset"
    " changelog loadtest loadtests dropbox readme newspost searchbox editbox dropzone savegame setpoint newsletters"
    " addbook listname searchkey searchterm settype savepoint savings delta listitem listitems newsitem"
    " readtime loadtime"
)

IRREGULAR_PLURALS = _set(
    "people children men women data media criteria feet teeth mice geese indices matrices vertices phenomena alumni"
    " analyses bases crises theses series species news metadata schemata cacti fungi nuclei dice lives"
)
UNCOUNTABLE = _set(
    "equipment info information metadata data media feedback software hardware staff inventory traffic"
    " weather content"
    " history auth authentication authorization health status config configuration evidence knowledge"
    " music money cash"
    " stock food water luggage mail research progress work homework advice analytics geo security access billing"
    " search login logout register signup me self my current latest healthcheck ping info version docs"
    " help about cart profile session"
    " dashboard home wallet account-info overview summary swagger callback webhook token oauth cache"
    " storage schema uptime downtime openapi location phone email avatar"
    " graph grid calendar inbox outbox trash archive feed timeline sitemap static public private internal blog shop"
    " forum chat wiki admin settings by"
)
"""Heads of segments that stay as they are: no plural, or one per owner or site."""

ATTRIBUTES = _set(
    "id ids name email status type date code slug username key uuid title year month day page limit"
    " offset size number"
    " phone tag state from to by with for of in and or start end sort order lang language country city"
    " category version"
    " hash level keyword query term range count before after since until locale format mode kind value index role"
)
"""Segments that name a field, so that a parameter after them filters: ``/users/email/{email}``."""


def is_plural(word: str) -> bool:
    """
    Return True if *word* has a plural form or needs none.

    >>> [w for w in ("users", "status", "class", "analysis", "children", "bus", "process", "user") if is_plural(w)]
    ['users', 'children']
    """
    if word in IRREGULAR_PLURALS:
        return True
    return word.endswith("s") and not word.endswith(("ss", "us", "is"))


def singular(word: str) -> str:
    """
    Return the singular of a regular plural; any other word as it is.

    >>> [singular(w) for w in ("dogs", "categories", "boxes", "status", "classes")]
    ['dog', 'category', 'box', 'status', 'class']
    """
    if not is_plural(word) or word in IRREGULAR_PLURALS:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses", "zes")):
        return word[:-2]
    return word[:-1]


@functools.lru_cache(maxsize=65_536)
def glued_verb(word: str, others: frozenset[str] = frozenset()) -> str:
    """
    Return the verb that a run-together *word* begins with, or an empty string.

    *others* are the singular words of the rest of the path: after ``/pets``, ``addpet`` is add + pet.

    >>> [glued_verb(w) for w in ("createpost", "getalldogs", "adduser", "getaways", "settings", "address", "posters")]
    ['create', 'get', 'add', '', '', '', '']
    """
    if len(word) < 6 or word in _NOT_GLUED:
        return ""
    for verb, endings in GLUED.items():
        if word.startswith(verb):
            rest = word[len(verb) :]
            return verb if len(rest) >= 3 and rest not in endings else ""
    for verb in GLUED_BEFORE_NOUN:
        if word.startswith(verb):
            rest = word[len(verb) :]
            if rest in COMPOUNDS.get(verb, ()):
                return ""
            for determiner in ("all", "by", "my", "new"):
                if rest.startswith(determiner) and (rest == determiner or singular(rest[len(determiner) :]) in NOUNS):
                    return verb
            if len(rest) >= 3 and (singular(rest) in NOUNS or singular(rest) in others):
                return verb
    return ""
