-- title: Exposures count the sentences that each call has in each theme
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
SELECT coalesce(e.theme_id, c.theme_id) || ' has ' || coalesce(e.n_sentences, 0)
  || ' sentences of ' || coalesce(e.transcript_id, c.transcript_id) || ', counted '
  || coalesce(c.n, 0) AS violation
FROM theme_exposures e
FULL JOIN counted c USING (theme_id, transcript_id)
LEFT JOIN spoken s USING (transcript_id)
WHERE e.n_sentences IS DISTINCT FROM c.n OR abs(e.share - c.n / s.n) > 1e-9;
