-- title: Theme and topic texts are those of their tables
-- group: sentiment
-- unit: rows
-- of: themes_for_sentiment
SELECT r.topic_id || ' differs in ' || concat_ws(', ',
    CASE WHEN r.theme_name IS DISTINCT FROM t.name THEN 'theme_name' END,
    CASE WHEN r.theme_description IS DISTINCT FROM t.description THEN 'theme_description' END,
    CASE WHEN r.theme_keywords IS DISTINCT FROM t.keywords THEN 'theme_keywords' END,
    CASE WHEN r.topic_summary IS DISTINCT FROM f.summary THEN 'topic_summary' END,
    CASE WHEN r.quarter <> $quarter THEN 'quarter' END
  ) AS violation
FROM themes_for_sentiment r
LEFT JOIN themes t USING (theme_id)
LEFT JOIN (SELECT DISTINCT topic_id, summary FROM firm_topics) f ON f.topic_id = r.topic_id
WHERE r.theme_name IS DISTINCT FROM t.name OR r.theme_description IS DISTINCT FROM t.description
  OR r.theme_keywords IS DISTINCT FROM t.keywords OR r.topic_summary IS DISTINCT FROM f.summary
  OR r.quarter <> $quarter;
