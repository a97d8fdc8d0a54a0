"""Separate call small talk from sentences with substance, so that clustering sees only the latter.

A sentence is small talk when it says nothing about the business: courtesy phrases are taken out,
and what is left is names, function words and filler alone. So "Thanks, Ann, and good morning" is
small talk, and "Thanks to higher prices, revenue rose" is not, because "revenue rose" is left.
Legal boilerplate, introductions, handovers and thanks to employees may be long and are recognized
by their form. An amount of money or a percentage always keeps a sentence. The rules need no
speakers; every turn of an operator is small talk. When in doubt a sentence is kept.

Precision and recall are tested on labeled sentences of MAEC (tests/data/small_talk.csv).
"""

from __future__ import annotations

import re

from ftm_core.text import lexicons
from ftm_core.text.sentences import split
from ftm_core.text.tokens import MASK, WORD

# Phrases of courtesy and of the call's procedure. Beside one of them, more words count as empty.
_COURTESY_PHRASES = re.compile(
    r"(?<!\w)(?:"
    # greetings
    r"good (?:morning|afternoon|evening|day)|hello|hi|hey|greetings|morning|afternoon"
    r"|welcome(?: back)?|how are (?:you|things)(?: doing)?"
    r"|(?:nice|good|great|pleased|happy) to (?:be (?:here|with you)|(?:hear from|speak with|"
    r"talk to|see) you)"
    # congratulations
    r"|(?:congratulations|congrats|^(?:and |well |so |just |again |,)*(?:very )?(?:nice|great|"
    r"good|excellent) (?:quarter|job|results|work|year|print))(?: (?:on|for) (?:a|the|another|"
    r"your)? ?(?:very )?(?:nice|great|good|solid|strong)? ?(?:quarter|results|year|job))?"
    # thanks
    r"|(?:thank (?:you|everyone|everybody|all|each)|thanks)(?! to (?!all|every|you))"
    r"|(?:really |do |greatly |much )*appreciate(?= (?:it|that|you|your|the|all|every\w*)\b)"
    r"|(?:that is|that's|that was|very|super) helpful|great color"
    # farewells
    r"|good ?bye|bye(?:[- ]bye)?|take care|good night|(?:have|enjoy) (?:a|the) (?:great |good |"
    r"nice |wonderful |terrific |safe |rest of (?:the|your) )*(?:day|evening|afternoon|night|"
    r"week|weekend|morning|summer|holidays?|one)"
    r"|(?:look(?:ing)? forward to|we'll|we will|i'll|i will)(?: all)? (?:see(?:ing)?|"
    r"speak(?:ing)?|talk(?:ing)?|updat(?:e|ing)|meet(?:ing)?|catch up)\b(?! about)"
    r"|(?:concludes?|ends?) (?:my|our|the|today's|this)(?: (?:prepared|formal|opening|closing|"
    r"conference|earnings|results|full[- ]year|year|(?:first|second|third|fourth)[- ]quarter|and|"
    r"fiscal|20\d\d))*(?: (?:remarks|comments|calls?|discussion|presentation|session|"
    r"question-and-answer session))|disconnect|talk to you (?:soon|later)"
    r"|(?:please |feel free to )+(?:call|contact|reach out|e-?mail)"
    # how questions are handled
    r"|(?:(?:our|your|the|my) )?(?:next|last|first|final) question(?: please)?(?= *(?:[,.?!]|$))"
    r"|(?:a |an )?(?:very |really |quite )?(?:good|great|fair|excellent|interesting|tough|nice|"
    r"broad) questions?|(?:get|hop|jump|step|go) back (?:in|into|to|in to) (?:the )?"
    r"(?:queue|line)|(?:that's|that is|that was|that'll be|that would be) (?:all|it|about it)"
    r"|(?:hope|hopefully|does|did)? ?(?:that|this|it) (?:helps?|answers?|answered|addresse[ds])"
    r"(?: (?:you|your|the|questions?|out|a bit))*|(?:go ahead|stand by)|(?:time|room) for"
    r"|(?:just )?(?:one|a|a couple of?) (?:quick |final |last |more )*"
    r"(?:follow-?ups?|questions?)(?= *(?:[,.?!]|$))|operator"
    r"|(?:can|could|do) you hear (?:me|us)"
    r"|(?:any|no)(?: (?:more|other|further|additional|follow-up))* (?:questions?|calls?|callers?)"
    r"(?: (?:in the queue|at this time|from the (?:phone|line)s?))*(?= *(?:[,.?!]|from|$))"
    r"|(?:q&a|question-and-answer)(?: session)?"
    r"|(?:mov|turn|go)(?:e|ing)?(?: now| on| over)*(?: to)? slides? \d+(?: and \d+)?"
    r")(?!\w)",
    re.IGNORECASE,
)
_EMPTY_PHRASES = re.compile(
    r"(?<!\w)(?:"
    r"you(?:'re| are) (?:very )?welcome|you bet|no problem|my pleasure|of course|got it|"
    r"makes? (?:perfect |a lot of |total )?sense|fair enough|all right|i'?m sorry|sorry|"
    r"excuse me|understood|i see|i understand|let's see|sounds good|not really|i don't know|"
    r"you know|laughter|multiple speakers|technical difficulty|inaudible|"
    r"take (?:a|another|the) (?:shot|stab|crack)|give you (?:some |a lot of )?credit"
    r")(?!\w)",
    re.IGNORECASE,
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
    r"|\bresults\b.{0,30}\baffected by\b.{0,40}\brisks?\b"
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
# Welcome to a call that is named in full.
_WELCOME = re.compile(
    r"\b(?:joining|joined|welcome)\b.{0,80}\b(?:conference|earnings|results|investor) "
    r"(?:conference )?(?:call|webcast)\b",
    re.IGNORECASE,
)
# Thanks of the speaker to employees, partners or shareholders, however long.
_THANKS_TO_PEOPLE = re.compile(
    r"\b(?:thank|thanks|thanking|grateful|gratitude|appreciation)\b.{0,120}\b(?:employees|associates|"
    r"colleagues|teams?|leaders|staff|people|members|shareholders|partners)\b.{0,60}\bfor\b.{0,20}"
    r"\b(?:hard work|dedicat\w+|commitment|efforts?|support|contributions?|work|loyalty|passion)\b",
    re.IGNORECASE,
)
_TURNS_TO_SUBSTANCE = re.compile(r"\b(?:but|before|while|because|although|however|despite)\b", re.I)
_LONGEST_HANDOVER = 45


def is_small_talk(text: str, speaker_type: str) -> bool:
    """Whether ``text`` says nothing about the business and is left out of clustering.

    ``speaker_type`` may be Unknown. Text that holds several sentences is small talk when all are.
    """
    if speaker_type.strip().lower() == "operator":
        return True
    return all(map(_says_nothing, split(text)))


def _says_nothing(sentence: str) -> bool:
    if _FIGURE.search(sentence):
        return False
    plain = sentence.replace("’", "'")
    if _has_form_of_small_talk(plain):
        return True
    rest, n_courtesies = _COURTESY_PHRASES.subn(" ", plain)
    rest = _EMPTY_PHRASES.sub(" ", rest)
    courteous = n_courtesies > 0 and not rest.rstrip().endswith("?")
    if courteous:
        rest = _YEAR.sub(" ", _RESULTS.sub(" ", rest))
    rest = MASK.sub(" ", rest)
    return not re.search(r"\d", rest) and all(
        _is_empty(word, courteous=courteous) for word in WORD.findall(rest)
    )


def _has_form_of_small_talk(plain: str) -> bool:
    """Recognize what may be long by how it goes: boilerplate, introductions, thanks, handovers."""
    if any(form.search(plain) for form in _FORMS):
        return True
    if all(part.search(plain) for part in (_PLACE, _TO_BE_HAD, _DOCUMENT)):
        return True
    return len(plain.split()) <= _LONGEST_HANDOVER and (
        _is_handover(plain) or _is_handover(_COURTESY_PHRASES.sub(" ", plain))
    )


def _is_handover(plain: str) -> bool:
    match = _HANDOVER.match(plain)
    return match is not None and not _TURNS_TO_SUBSTANCE.search(plain[match.end() :])


def _is_empty(word: str, *, courteous: bool) -> bool:
    """Whether a word left over by the phrases names nothing; more words do beside a courtesy."""
    lower = word.lower()
    if len(word) == 1 or any(lexicons.contains(name, lower) for name in _EMPTY_WORDS):
        return True
    if not courteous:
        return False
    return not set(lower.split("-")) - lexicons.words("courtesy_words") or _is_name(word)


_FORMS = (_BOILERPLATE, _INTRODUCTION, _WELCOME, _THANKS_TO_PEOPLE)
_EMPTY_WORDS = ("function_words", "acknowledgements", "small_talk_filler")
_YEAR = re.compile(r"\b(?:20\d\d|Q[1-4])\b")


def _is_name(word: str) -> bool:
    """Whether a word could be a speaker's name: capitalized, and no acronym such as EBITDA."""
    return word[0].isupper() and not word.isupper()
