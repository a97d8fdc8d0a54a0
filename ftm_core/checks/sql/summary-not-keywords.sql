-- title: Summaries differ from the representation
-- group: map
-- unit: topics
-- of: firm_topics
SELECT topic_id || ': ' || left(summary, 80) AS violation
FROM firm_topics
WHERE summary = representation;
