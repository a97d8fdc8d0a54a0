"""The SQL that is sent to WRDS: which calls, which links, which spoken text.

All of it is set-based and reads only. Ids are cast, because WRDS keeps the same id as numeric in
one table and as integer in the next.
"""

from __future__ import annotations

# Capital IQ's ids: key development 48 is an earnings call; presentation 5 is the final one.
EARNINGS_CALL = 48

# One call is a company and a key development. Each of its versions has a transcript id of its
# own. The final one is chosen so: one that has text; presentation "Final" (5) before others; the
# latest creation, which Capital IQ calls the most accurate; the later stage of its review
# (audited 8, proofed 1, edited 2, corrected 3, spellchecked 7); the higher id. The choice comes
# before the quarter's filter, because the versions of a call on the last day of a quarter may
# disagree on the date, and the call must then be in one quarter, not in two.
CALLS = """
WITH events AS (
    SELECT DISTINCT companyid, keydevid
    FROM ciq.wrds_transcript_detail
    WHERE keydeveventtypeid = %(event)s
      AND mostimportantdateutc >= %(first_day)s
      AND mostimportantdateutc < %(day_after)s
      AND companyid IS NOT NULL AND keydevid IS NOT NULL
), versions AS (
    SELECT
        detail.companyid::bigint AS company,
        detail.keydevid::bigint AS event,
        detail.transcriptid::bigint AS transcript,
        detail.companyname AS name,
        detail.mostimportantdateutc::date AS day,
        detail.transcriptpresentationtypeid::int AS presentation,
        detail.transcriptcollectiontypeid::int AS stage,
        detail.transcriptcreationdate_utc AS created_day,
        detail.transcriptcreationtime_utc AS created_time
    FROM ciq.wrds_transcript_detail AS detail
    JOIN events ON events.companyid = detail.companyid AND events.keydevid = detail.keydevid
    WHERE detail.keydeveventtypeid = %(event)s AND detail.transcriptid IS NOT NULL
), spoken AS (
    -- The length is kept beside a long text, so that this reads no text at all.
    SELECT component.transcriptid::bigint AS transcript
    FROM ciq.ciqtranscriptcomponent AS component
    WHERE component.transcriptid IN (SELECT transcript FROM versions)
      AND octet_length(component.componenttext) > 0
    GROUP BY 1
), chosen AS (
    SELECT DISTINCT ON (company, event)
        versions.*, count(*) OVER (PARTITION BY company, event) AS n_versions
    FROM versions
    LEFT JOIN spoken USING (transcript)
    ORDER BY
        company,
        event,
        spoken.transcript IS NULL,
        COALESCE(presentation, 0) <> 5,
        created_day DESC NULLS LAST,
        created_time DESC NULLS LAST,
        array_position(ARRAY[8, 1, 2, 3, 7], stage) NULLS LAST,
        transcript DESC
)
SELECT company, transcript, name, day, n_versions
FROM chosen
WHERE day >= %(first_day)s AND day < %(day_after)s
ORDER BY company, day, transcript, event
"""

# What the chosen calls hold, as counts and as a sum of hashes: a change of any text, order,
# speaker or number of components changes it, and no text has to be sent.
CONTENTS = """
SELECT
    call.place,
    count(DISTINCT component.transcriptcomponentid),
    count(DISTINCT component.transcriptcomponentid) FILTER (
        WHERE btrim(COALESCE(component.componenttext, ''), %(blanks)s) = ''
    ),
    sum(hashtextextended(concat_ws('|',
        component.transcriptcomponentid, component.componentorder, person.speakertypename,
        component.componenttext), 0)::numeric)::text
FROM unnest(%(transcripts)s::bigint[]) WITH ORDINALITY AS call (transcript, place)
JOIN ciq.ciqtranscriptcomponent AS component ON component.transcriptid = call.transcript
LEFT JOIN ciq.wrds_transcript_person AS person
    ON person.transcriptid = component.transcriptid
    AND person.transcriptcomponentid = component.transcriptcomponentid
GROUP BY call.place
"""

# Candidates only: which of them is valid on the day of a call is decided by the link rules in
# ftm_core.transcripts.identifiers, the same for every source.
LINKS = """
SELECT
    firm.companyid::bigint, firm.gvkey, firm.startdate, firm.enddate,
    link.lpermno::bigint, link.linkdt, link.linkenddt, link.linktype, link.linkprim
FROM ciq.wrds_gvkey AS firm
LEFT JOIN crsp.ccmxpf_linktable AS link ON link.gvkey = firm.gvkey
WHERE firm.companyid = ANY(%(companies)s::bigint[]) AND firm.gvkey IS NOT NULL
"""

# Ordered by place, which is by firm, then as spoken. A component listed twice with two speakers
# comes with the lower speaker type first, which the reader keeps.
COMPONENTS = """
SELECT
    call.place,
    component.transcriptcomponentid::bigint,
    component.componenttext,
    person.speakertypename
FROM unnest(%(transcripts)s::bigint[], %(places)s::bigint[]) AS call (transcript, place)
JOIN ciq.ciqtranscriptcomponent AS component ON component.transcriptid = call.transcript
LEFT JOIN ciq.wrds_transcript_person AS person
    ON person.transcriptid = component.transcriptid
    AND person.transcriptcomponentid = component.transcriptcomponentid
ORDER BY
    call.place,
    component.componentorder,
    component.transcriptcomponentid,
    person.speakertypeid NULLS LAST,
    person.speakertypename
"""
