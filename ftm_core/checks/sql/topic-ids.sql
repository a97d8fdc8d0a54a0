-- title: Topic ids are made as agreed
-- group: map
-- unit: topics
-- of: firm_topics
SELECT topic_id || ' of ' || quarter || ' should be ' || firm_id || '_' || local_topic_id AS violation
FROM firm_topics
WHERE topic_id <> firm_id || '_' || local_topic_id OR quarter <> $quarter;
