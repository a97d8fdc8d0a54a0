-- One number for the sentences that each topic has in each theme, as spoken and in its order.
SELECT topic_id, theme_id, sum(hash(
    place::BIGINT, sentence_id, raw_text, speaker_type, position
  )::HUGEINT) AS digest
FROM (
  SELECT
    t.topic_id, s.theme_id, s.sentence_id, s.raw_text, s.speaker_type, s.position,
    row_number() OVER (PARTITION BY t.topic_id, s.theme_id ORDER BY t.ordinal) AS place
  FROM topic_sentences t JOIN sentences s USING (sentence_id)
  WHERE s.theme_id IS NOT NULL
)
GROUP BY topic_id, theme_id
