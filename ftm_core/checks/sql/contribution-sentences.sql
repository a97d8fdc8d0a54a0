-- title: Contributions count the sentences that their topic has in the theme
-- group: themes
-- unit: rows
-- of: theme_contributions
-- A topic contributes with two of its sentences or more, or with a third of them.
WITH counted AS (
  SELECT
    s.theme_id, t.topic_id, count(*) AS n, any_value(t.n_sentences) AS n_topic
  FROM sentences s
  JOIN (SELECT DISTINCT topic_id, firm_id, local_topic_id, n_sentences FROM firm_topics) t
    USING (firm_id, local_topic_id)
  WHERE s.theme_id IS NOT NULL
  GROUP BY ALL
)
SELECT coalesce(c.topic_id, n.topic_id) || ' contributes ' || coalesce(c.n_sentences, 0)
  || ' sentences to ' || coalesce(c.theme_id, n.theme_id) || ', has ' || coalesce(n.n, 0)
  AS violation
FROM theme_contributions c
FULL JOIN (FROM counted WHERE n >= 2 OR 3 * n >= n_topic) n USING (theme_id, topic_id)
WHERE c.n_sentences IS DISTINCT FROM n.n;
