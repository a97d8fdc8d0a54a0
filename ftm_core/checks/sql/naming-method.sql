-- title: naming_method is "llm"
-- group: map
-- unit: topics
-- of: firm_topics
SELECT topic_id || ' has ''' || naming_method || '''' AS violation
FROM firm_topics
WHERE naming_method <> 'llm';
