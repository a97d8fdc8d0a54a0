-- One number for the sentences of each topic as spoken and in their order.
SELECT t.topic_id, sum(hash(
    t.ordinal::BIGINT, s.sentence_id, s.raw_text, s.speaker_type, s.position
  )::HUGEINT) AS digest
FROM topic_sentences t JOIN map_sentences s USING (sentence_id)
GROUP BY t.topic_id
