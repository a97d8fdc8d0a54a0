-- title: Each (theme, firm, topic) occurs once
-- group: sentiment
-- unit: rows
-- of: themes_for_sentiment
SELECT concat_ws(' ', theme_id, firm_id, topic_id) || ' occurs ' || count(*) || ' times' AS violation
FROM themes_for_sentiment
GROUP BY theme_id, firm_id, topic_id
HAVING count(*) > 1;
