"""Tell call small talk from sentences with substance, so that clustering sees only the latter.

A sentence is set aside when *nothing* of substance is in it: the courtesy phrases of the families
below are taken out, and what is left must be names and function words alone. So "Thanks, Ann, and
good morning" goes, and "Thanks to higher prices, revenue rose" stays, because "revenue rose" is
left. Two families, boilerplate and handover, are recognised by their form instead, as legal
sentences are long; a figure in money or per cent always keeps a sentence. The rules need no
speakers; an operator's turn is set aside whatever it says. When in doubt a sentence stays.
A sentence all of whose words could be said of anything ("so we feel good about that") goes, too:
left in, such sentences make topics of their own, and themes of half the firms.
"""

from __future__ import annotations

import re

from ftm_core.text import lexicons
from ftm_core.text.sentences import split
from ftm_core.text.tokens import MASK, WORD

OPERATOR = "operator turn"
GREETING = "greeting"
THANKS = "thanks"
SIGN_OFF = "sign-off"
CONGRATULATION = "congratulation"
QUESTIONS = "question handling"
HANDOVER = "handover between speakers"
INTRODUCTION = "introduction of speakers"
BOILERPLATE = "legal or logistical boilerplate"
ACKNOWLEDGEMENT = "acknowledgement"
FRAGMENT = "fragment without words"
FILLER = "filler that names no matter"


_PHRASES: tuple[tuple[str, str], ...] = (
    (
        GREETING,
        r"good (?:morning|afternoon|evening|day)|hello|hi|hey|greetings|morning|afternoon"
        r"|welcome(?: back)?|how are (?:you|things)(?: doing)?"
        r"|(?:nice|good|great|pleased|happy) to (?:be (?:here|with you)|(?:hear from|speak with|"
        r"talk to|see) you)",
    ),
    (
        CONGRATULATION,
        r"(?:congratulations|congrats|^(?:and |well |so |just |again |,)*(?:very )?(?:nice|great|"
        r"good|excellent) (?:quarter|job|results|work|year|print))(?: (?:on|for) (?:a|the|another|"
        r"your)? ?(?:very )?(?:nice|great|good|solid|strong)? ?(?:quarter|results|year|job))?",
    ),
    (
        THANKS,
        r"(?:thank (?:you|everyone|everybody|all|each)|thanks)(?! to (?!all|every|you))"
        r"|(?:really |do |greatly |much )*appreciate(?= (?:it|that|you|your|the|all|every\w*)\b)"
        r"|(?:that is|that's|that was|very|super) helpful|great color",
    ),
    (
        SIGN_OFF,
        r"good ?bye|bye(?:[- ]bye)?|take care|good night|(?:have|enjoy) (?:a|the) (?:great |good |"
        r"nice |wonderful |terrific |safe |rest of (?:the|your) )*(?:day|evening|afternoon|night|"
        r"week|weekend|morning|summer|holidays?|one)"
        r"|(?:look(?:ing)? forward to|we'll|we will|i'll|i will)(?: all)? (?:see(?:ing)?|"
        r"speak(?:ing)?|talk(?:ing)?|updat(?:e|ing)|meet(?:ing)?|catch up)\b(?! about)"
        r"|(?:concludes?|ends?) (?:my|our|the|today's|this)(?: (?:prepared|formal|opening|closing|"
        r"conference|earnings))*(?: (?:remarks|comments|calls?|discussion|presentation|session|"
        r"question-and-answer session))|disconnect|talk to you (?:soon|later)",
    ),
    (
        QUESTIONS,
        r"(?:(?:our|your|the|my) )?(?:next|last|first|final) question(?: please)?(?= *(?:[,.?!]|$))"
        r"|(?:a |an )?(?:very |really |quite )?(?:good|great|fair|excellent|interesting|tough|nice|"
        r"broad) questions?|(?:get|hop|jump|step|go) back (?:in|into|to|in to) (?:the )?"
        r"(?:queue|line)|(?:that's|that is|that was|that'll be|that would be) (?:all|it|about it)"
        r"|(?:hope|hopefully|does|did)? ?(?:that|this|it) (?:helps?|answers?|answered|addresse[ds])"
        r"(?: (?:you|your|the|questions?|out|a bit))*|(?:go ahead|stand by)|(?:time|room) for"
        r"|(?:just )?(?:one|a|a couple of?) (?:quick |final |last |more )*"
        r"(?:follow-?ups?|questions?)(?= *(?:[,.?!]|$))|operator"
        r"|(?:can|could|do) you hear (?:me|us)"
        r"|(?:any|no)(?: (?:more|other|further|additional))* (?:questions?|calls?|callers?)"
        r"(?: (?:in the queue|at this time|from the (?:phone|line)s?))*(?= *(?:[,.?!]|$))",
    ),
    (
        ACKNOWLEDGEMENT,
        r"you(?:'re| are) (?:very )?welcome|you bet|no problem|my pleasure|of course|got it|"
        r"makes? (?:perfect |a lot of |total )?sense|fair enough|all right|i'?m sorry|sorry|"
        r"excuse me|understood|i see|i understand|let's see|sounds good|not really|i don't know|"
        r"you know|laughter|multiple speakers|technical difficulty|inaudible",
    ),
)
_PHRASE_RULES = tuple(
    (reason, re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE))
    for reason, pattern in _PHRASES
)

_RESULTS = re.compile(
    r"\b(?:to|and) (?:discuss|review|present)(?: \w[\w'-]*){0,6} (?:results|earnings|performance)\b"
    r"|\binterest in(?: [A-Z][\w&.]*)+"
)
_FIGURE = re.compile(r"[$€£¥%]|\b\d[\d,.]*\s*(?:percent|basis|bps|million|billion|cents)\b")

_LEAD = (
    r"^(?:<UNK>|['’]\w+|\W|\b(?:and|so|now|well|okay|all right|with that(?: said)?|"
    r"at this (?:time|point)|thank you|thanks|operator|finally|then|that|again|great|please|"
    r"let me|i|we|would|want|like|going|gonna|to|just|now|can|may|happy|pleased|it is my pleasure|"
    r"will|very much|everyone|good (?:morning|afternoon|evening)|next|also|let's|should|for|"
    r"those|remarks|are|am|ready|be|a|moment)\b)*+"
)
_HANDOVER = re.compile(
    _LEAD + r"(?:(?:turn|hand|pass)(?:ing)? (?:it|the (?:call|conference|floor|line|podium|time|"
    r"presentation|discussion|meeting|mic(?:rophone)?)|things|this|that)\b.{0,12}?\b"
    r"(?:over|back|to)\b|introduce\b|open (?:it|the (?:call|line|lines|floor|phone lines?)|things|"
    r"up)\b.{0,20}?(?:questions|q&a)|(?:take|answer|poll for|entertain) (?:any |your |some |a few |"
    r"the (?:first|next) )*questions?\b(?=[^,;]{0,25}$))",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(
    r"^(?:and |so |also |here )*(?:joining (?:me|us)|with (?:me|us)|on the call|i'm joined|"
    r"i am joined|we're joined|presenting|speaking)\b"
    r"[^.]*?(?:<UNK>|chief|president|officer|ceo|cfo|chairman|director|treasurer)"
    r"|^(?:<UNK>|\W|and|also|yes|hi|hey|hello|okay|sure|well|good morning|thanks|thank you)*+"
    r"(?:this is|it's|it is|my name is|i'm) <UNK>[^a-z]*"
    r"(?:again|here|with|from|at|speaking)?[^a-z]*$"
    r"|\bnext question\b.{0,30}\bfrom\b|\bquestion (?:comes|is) from\b|\bfrom the line of\b",
    re.IGNORECASE,
)
_BOILERPLATE = re.compile(
    r"forward[- ]looking (?:statement|information|comment|in nature|remark)|safe[- ]harbor"
    r"|private securities litigation|actual (?:results|outcomes|events).{0,60}\bdiffer\b"
    r"|(?:undertakes?|assumes?|disclaims?|have|has)\b.{0,40}\b(?:no|any) "
    r"(?:obligation|duty)\b.{0,30}\b(?:update|revise)"
    r"|\b(?:risk factors|risks and uncertainties)\b.{0,80}"
    r"\b(?:10-[kq]|filings?|sec|securities and exchange|press release|annual report|reports?)\b"
    r"|\b(?:reconciliations?|reconciled)\b.{0,140}\b(?:gaap|website|web site|press release|"
    r"appendix|supplement\w*|earnings release|tables?)\b"
    r"|\b(?:discuss|refer to|include|use|reference|provide|mention|contain|on|certain)\b.{0,30}"
    r"\bnon-gaap (?:financial )?(?:measures?|information|metrics?|terms)\b"
    r"|\b(?:replay|archive|recording|transcript)\b.{0,60}\b(?:available|access|posted|of this call|"
    r"will be)\b|\b(?:call|webcast|conference|event) is being (?:recorded|webcast|broadcast)\b"
    r"|\blisten[- ]only\b|\bpress (?:star|\*|the (?:star|pound))|\bplease limit (?:yourself|"
    r"yourselves|your questions)\b",
    re.IGNORECASE,
)
# Where to find a document: what it is, that it can be had, and where, all in one sentence.
_DOCUMENT = re.compile(
    r"\b(?:release|slides?|presentation|slide deck|supplemental?|webcast|materials?|schedules?|"
    r"documents?|copy|call|information|10-[kq]|8-k)\b",
    re.IGNORECASE,
)
_TO_BE_HAD = re.compile(
    r"\b(?:available|posted|found|find|accessible|access(?:ed)?|furnished|filed|visit|located|"
    r"download(?:ed)?|obtained|distributed|accompan\w+|viewed|reviewed|refer)\b",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\b(?:web ?sites?|www|form 8-k|investor relations)\b|\w\.com\b", re.IGNORECASE)
_TURNS_TO_SUBSTANCE = re.compile(r"\b(?:but|before|while|because|although|however|despite)\b", re.I)
_LONGEST_HANDOVER = 45


def is_set_aside(text: str, speaker_type: str) -> str | None:
    """The reason why a sentence is set aside before clustering, or None when it stays.

    ``speaker_type`` may be Unknown. Text that holds several sentences stays if any one of them
    would.
    """
    if speaker_type.strip().lower() == "operator":
        return OPERATOR
    first = None
    for sentence in split(text):
        reason = _reason(sentence)
        if reason is None:
            return None
        first = first or reason
    return first or FRAGMENT


def _reason(sentence: str) -> str | None:
    if _FIGURE.search(sentence):
        return None
    plain = sentence.replace("’", "'")
    form = _reason_by_form(plain)
    if form is not None:
        return form
    rest, reason = plain, None
    for family, pattern in _PHRASE_RULES:
        rest, found = pattern.subn(" ", rest)
        if found and reason is None:
            reason = family
    return _reason_for_rest(rest, reason, n_words=len(WORD.findall(plain)))


def _reason_by_form(plain: str) -> str | None:
    """Recognise boilerplate, introductions and handovers, which may be long, by how they go."""
    if _BOILERPLATE.search(plain):
        return BOILERPLATE
    if all(part.search(plain) for part in (_PLACE, _TO_BE_HAD, _DOCUMENT)):
        return BOILERPLATE
    if _INTRODUCTION.search(plain):
        return INTRODUCTION
    match = _HANDOVER.match(plain)
    if match is None or len(plain.split()) > _LONGEST_HANDOVER:
        return None
    return None if _TURNS_TO_SUBSTANCE.search(plain[match.end() :]) else HANDOVER


def _reason_for_rest(rest: str, reason: str | None, *, n_words: int) -> str | None:
    """Judge what the courtesy phrases leave over: names and function words alone may be left."""
    courteous = reason in _COURTEOUS and not rest.rstrip().endswith("?")
    if courteous:
        rest = _YEAR.sub(" ", _RESULTS.sub(" ", rest))
    nameless = MASK.sub(" ", rest)
    if re.search(r"\d", nameless):
        return None
    for word in WORD.findall(nameless):
        lower = word.lower()
        if lexicons.contains("function_words", lower) or len(word) == 1:
            continue
        if courteous and not set(lower.split("-")) - lexicons.words("courtesy_words"):
            continue
        if lower in lexicons.words("acknowledgements"):
            reason = reason or ACKNOWLEDGEMENT
        elif lexicons.contains("small_talk_filler", lower):
            reason = reason or FILLER
        elif not (courteous and _is_name(word)):
            return None
    if reason is not None:
        return reason
    if n_words <= 1 or MASK.search(rest):
        return FRAGMENT
    return ACKNOWLEDGEMENT if n_words <= 5 else FILLER


_COURTEOUS = frozenset({GREETING, THANKS, SIGN_OFF, CONGRATULATION, QUESTIONS})
_YEAR = re.compile(r"\b(?:20\d\d|Q[1-4])\b")


def _is_name(word: str) -> bool:
    """Whether a word could be a speaker's name: capitalised, and no acronym such as EBITDA."""
    return word[0].isupper() and not word.isupper()
