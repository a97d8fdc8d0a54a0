-- title: No (firm, topic) occurs twice
-- group: map
-- unit: topics
-- of: firm_topics
SELECT topic_id || ' occurs ' || count(*) || ' times' AS violation
FROM firm_topics
GROUP BY topic_id
HAVING count(*) > 1;
