-- title: n_topics and n_firms equal the contributions
-- group: themes
-- unit: themes
-- of: themes
WITH counted AS (
  SELECT theme_id, count(DISTINCT topic_id) AS n_topics, count(DISTINCT firm_id) AS n_firms
  FROM theme_contributions
  GROUP BY theme_id
)
SELECT theme_id || ' says ' || t.n_topics || ' topics of ' || t.n_firms || ' firms, counted '
  || coalesce(c.n_topics, 0) || ' of ' || coalesce(c.n_firms, 0) AS violation
FROM themes t LEFT JOIN counted c USING (theme_id)
WHERE t.n_topics <> coalesce(c.n_topics, 0) OR t.n_firms <> coalesce(c.n_firms, 0);
