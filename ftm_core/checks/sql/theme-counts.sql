-- title: n_topics equals the contributions, n_firms and n_sentences the sentences
-- group: themes
-- unit: themes
-- of: themes
WITH topics AS (
  SELECT theme_id, count(DISTINCT topic_id) AS n FROM theme_contributions GROUP BY theme_id
),
spoken AS (
  SELECT theme_id, count(*) AS n, count(DISTINCT firm_id) AS n_firms
  FROM sentences
  WHERE theme_id IS NOT NULL
  GROUP BY theme_id
)
SELECT theme_id || ' says ' || concat_ws(', ',
    CASE WHEN t.n_topics <> coalesce(topics.n, 0)
      THEN t.n_topics || ' topics, counted ' || coalesce(topics.n, 0) END,
    CASE WHEN t.n_firms <> coalesce(spoken.n_firms, 0)
      THEN t.n_firms || ' firms, counted ' || coalesce(spoken.n_firms, 0) END,
    CASE WHEN t.n_sentences <> coalesce(spoken.n, 0)
      THEN t.n_sentences || ' sentences, counted ' || coalesce(spoken.n, 0) END
  ) AS violation
FROM themes t LEFT JOIN topics USING (theme_id) LEFT JOIN spoken USING (theme_id)
WHERE t.n_topics <> coalesce(topics.n, 0) OR t.n_firms <> coalesce(spoken.n_firms, 0)
  OR t.n_sentences <> coalesce(spoken.n, 0);
