-- title: Every topic has a summary
-- group: map
-- unit: topics
-- of: firm_topics
SELECT topic_id || ' has none' AS violation FROM firm_topics WHERE trim(summary) = '';
