-- title: Every ingested sentence is written or of a failed firm
-- group: input
WITH counted AS (
  SELECT
    (SELECT count(*) FROM map_sentences) AS written,
    (SELECT count(*) FROM transcripts SEMI JOIN failed_firms USING (firm_id)) AS failed,
    (SELECT count(*) FROM transcripts ANTI JOIN planned USING (firm_id)) AS unplanned
)
SELECT abs($n_ingested - written - failed - unplanned) || ' sentences are '
  || CASE WHEN written + failed + unplanned < $n_ingested THEN 'missing' ELSE 'too many' END
  AS violation
FROM counted
WHERE written + failed + unplanned <> $n_ingested;

WITH counted AS (
  SELECT
    (SELECT count(*) FROM map_sentences) AS written,
    (SELECT count(*) FROM transcripts SEMI JOIN failed_firms USING (firm_id)) AS failed,
    (SELECT count(*) FROM transcripts ANTI JOIN planned USING (firm_id)) AS unplanned
)
SELECT written || ' written + ' || failed || ' of failed firms'
  || CASE WHEN unplanned > 0 THEN ' + ' || unplanned || ' of firms left out by --max-firms' ELSE '' END
  || CASE WHEN written + failed + unplanned = $n_ingested THEN ' = ' ELSE ' != ' END
  || $n_ingested
FROM counted;
