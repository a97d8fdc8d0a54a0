-- title: Topics and their sentences refer to each other
-- group: map
-- unit: topics
-- of: firm_topics
WITH members AS (
  SELECT
    t.topic_id,
    count(DISTINCT t.ordinal) AS named,
    count(DISTINCT t.sentence_id) AS different,
    count(DISTINCT s.sentence_id) AS present,
    count(*) FILTER (
      s.firm_id <> t.firm_id OR s.local_topic_id <> t.local_topic_id
      OR s.earnings_call_date <> t.earnings_call_date
    ) AS others
  FROM topic_sentences t LEFT JOIN map_sentences s USING (sentence_id)
  GROUP BY t.topic_id
),
labelled AS (
  SELECT firm_id, local_topic_id, count(*) AS n
  FROM map_sentences
  WHERE local_topic_id >= 0
  GROUP BY ALL
)
SELECT topic_id || ' ' || CASE
    WHEN coalesce(named, 0) = 0 THEN 'names no sentence'
    WHEN different < named THEN 'names a sentence twice'
    WHEN present < different THEN 'names ' || different - present || ' sentences that are not there'
    WHEN n_sentences <> named THEN 'says ' || n_sentences || ' sentences, but names ' || named
    WHEN others > 0 THEN 'names a sentence of another topic or call'
    ELSE 'names ' || named || ' of the ' || coalesce(n, 0) || ' sentences that name it'
  END AS violation
FROM (SELECT DISTINCT topic_id, firm_id, local_topic_id, n_sentences FROM firm_topics)
LEFT JOIN members USING (topic_id)
LEFT JOIN labelled USING (firm_id, local_topic_id)
WHERE coalesce(named, 0) = 0 OR different < named OR present < different
  OR n_sentences <> named OR others > 0 OR named <> coalesce(n, 0)
UNION ALL
SELECT firm_id || '_' || local_topic_id || ' has sentences, but is no topic'
FROM labelled
ANTI JOIN firm_topics USING (firm_id, local_topic_id)
WHERE firm_id || '_' || local_topic_id NOT IN (FROM failures SELECT topic_id WHERE topic_id IS NOT NULL);
