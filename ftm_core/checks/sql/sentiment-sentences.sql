-- title: Sentences are there, as many as said, as spoken, most representative first
-- group: sentiment
-- unit: rows
-- of: themes_for_sentiment
WITH nested AS (
  SELECT
    theme_id,
    topic_id,
    n_sentences,
    len(sentences) AS n,
    list_sum(list_transform(sentences, lambda s, i: hash(
      i::BIGINT, s.sentence_id, s.text, s.speaker_type, s.position
    )::HUGEINT)) AS digest
  FROM themes_for_sentiment
)
SELECT topic_id || CASE
    WHEN nested.n = 0 THEN ' has no sentence'
    WHEN n_sentences <> nested.n THEN ' says ' || n_sentences || ', has ' || nested.n
    ELSE ' does not have its sentences in ' || theme_id || ' as spoken and in order'
  END AS violation
FROM nested LEFT JOIN topic_digests t USING (theme_id, topic_id)
WHERE nested.n = 0 OR n_sentences <> nested.n OR nested.digest IS DISTINCT FROM t.digest;
