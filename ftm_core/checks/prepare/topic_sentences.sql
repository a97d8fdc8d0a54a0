-- The sentences that each topic names, in its order.
SELECT
  topic_id, firm_id, local_topic_id, earnings_call_date, unnest(sentence_ids) AS sentence_id,
  generate_subscripts(sentence_ids, 1) AS ordinal
FROM (
  SELECT DISTINCT topic_id, firm_id, local_topic_id, earnings_call_date, sentence_ids
  FROM firm_topics
)
