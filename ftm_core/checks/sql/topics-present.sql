-- title: The map found topics
-- group: map
SELECT 'no call was long enough to hold one; see FIRM_MIN_CLUSTER_SIZE' AS violation
WHERE NOT EXISTS (FROM firm_topics);

SELECT count(DISTINCT topic_id) || ' topics of ' || count(DISTINCT firm_id) || ' firms' FROM firm_topics;
