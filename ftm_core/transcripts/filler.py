"""Words that could be said of anything: a sentence of these alone names no matter."""

from __future__ import annotations

import re

_ENDINGS = re.compile(r"'(?:s|re|ve|ll|d|m|t)$")


def is_filler(word: str) -> bool:
    """Whether a word in lower case, whatever it is contracted with, says nothing of a matter."""
    return word in FILLER or uncontracted(word) in FILLER


def uncontracted(word: str) -> str:
    """The word before its contraction: "what" of "what's"."""
    return _ENDINGS.sub("", word)


# Verbs of saying, thinking, doing and going on; feelings; order, size and time without a figure.
FILLER = frozenset(
    """
    able about above actually add added adding agree ahead allow almost already always another
    answer anticipate anticipated anticipating anything anyway appear appears aspect aware
    away back bad basically because before begin beginning being believe best better between
    big bit both bottom bring broad call certain chance change changed changes clarify clarity
    clear clearly close come comes comfortable coming comment confident consider context
    continue continued continues continuing conversation couldn't couple course curious days
    decide deep depend depends describe detail details didn't difference different difficult
    direction discuss discussed doing done down early easy either else encouraged encouraging
    end enough especially even ever every everything exact example excited exciting expect
    expectation expectations expected expecting fact factor fair fairly far feel feeling felt
    few find flavor focus focused following forget form forth forward frankly front further
    gave general generally get gets getting give given gives giving glad go goal goes going
    gone gonna gotten guess half handle happen happened happening happens happy hard haven't
    hear heard hearing help helpful hopeful hopefully how idea if imagine important indication
    inning intend interesting isn't issue issues job keep kind knew know known knows last
    later least left less level likely listen little long longer look looked looking looks lot
    lots made main major make makes making many matter maybe mean meaningful means mention
    mentioned mind moment month months most move moving near necessarily need needed needs
    never next nothing number obviously off often ongoing only open opportunities opportunity
    optimistic order other others out outcome outside over own part particular particularly
    past perhaps period perspective piece pieces place plan planned planning plans play played
    plays pleased plus point points position positive possible potential potentially predict
    prepared pretty previous previously probably process progress promising proud provide put
    putting quarter quarters question questions quite rather read ready real realistic reality
    reason reasons reference referred referring regard related remain remember reminder
    respect rest result results room same saw saying says second see seeing seem seems seen
    sense set several share short shortly show shows side similar simply since sit situation
    small smart somebody somehow someone something sometimes soon sort speak speaking specific
    specifically stage stand start started starting starts stay step steps stuff such supposed
    surprise surprised taken takes taking talk talked talking talks tell telling term terms
    than thing things think thinking thinks third though thought thoughts three through
    throughout time times told too took total touch toward towards track trajectory tried
    truly try trying turn two type types typical typically ultimately under understand
    understanding unfortunately unique until up upon use used using usually various view views
    visibility wait walk wants watch way ways week weeks welcome went weren't whatever where
    whether which while who whole why wish within without won't wonder wondering word words
    work worked working works worse worst worth wouldn't wrong year years yet
    """.split()
)
