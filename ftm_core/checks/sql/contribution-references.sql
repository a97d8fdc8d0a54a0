-- title: Contributions name a theme and a topic, each pair once
-- group: themes
-- unit: rows
-- of: theme_contributions
SELECT concat_ws(', ',
    CASE WHEN t.theme_id IS NULL THEN c.theme_id || ' is no theme' END,
    CASE WHEN NOT EXISTS (FROM firm_topics f WHERE f.topic_id = c.topic_id)
      THEN c.topic_id || ' is no topic' END,
    CASE WHEN n > 1 THEN c.topic_id || ' occurs ' || n || ' times in ' || c.theme_id END
  ) AS violation
FROM (SELECT *, count(*) OVER (PARTITION BY theme_id, topic_id) AS n FROM theme_contributions) c
LEFT JOIN (SELECT DISTINCT theme_id FROM themes) t USING (theme_id)
WHERE violation <> '';
