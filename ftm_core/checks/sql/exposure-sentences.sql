-- title: Exposures count the sentences that each call has in each theme, once
-- group: themes
-- unit: rows
-- of: theme_exposures
WITH counted AS (
  SELECT theme_id, transcript_id, count(*) AS n
  FROM sentences
  WHERE theme_id IS NOT NULL
  GROUP BY ALL
),
spoken AS (
  SELECT transcript_id, count(*) AS n FROM sentences WHERE NOT is_small_talk GROUP BY ALL
)
SELECT coalesce(e.theme_id, c.theme_id) || CASE
    WHEN t.theme_id IS NULL THEN ' is no theme'
    WHEN e.rows > 1 THEN ' has ' || e.rows || ' rows of ' || e.transcript_id
    ELSE ' has ' || coalesce(e.n_sentences, 0) || ' sentences of '
      || coalesce(e.transcript_id, c.transcript_id) || ', counted ' || coalesce(c.n, 0)
  END AS violation
FROM (
  SELECT *, count(*) OVER (PARTITION BY theme_id, transcript_id) AS rows FROM theme_exposures
) e
FULL JOIN counted c USING (theme_id, transcript_id)
LEFT JOIN spoken s USING (transcript_id)
LEFT JOIN (SELECT DISTINCT theme_id FROM themes) t USING (theme_id)
WHERE e.n_sentences IS DISTINCT FROM c.n OR abs(e.share - c.n / s.n) > 1e-9
  OR e.rows > 1 OR t.theme_id IS NULL;
