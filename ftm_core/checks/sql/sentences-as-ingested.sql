-- title: Sentences are those ingested, word for word and each once
-- group: map
-- unit: firms
-- of: (SELECT firm_id FROM completed UNION SELECT firm_id FROM map_sentences)
-- The sum of the hashes of a firm's rows changes with any value, and not with their order.
WITH ingested AS (
  SELECT firm_id, count(*) AS n, sum(hash(
      sentence_id, firm_id, permno, transcript_id, earnings_call_date, raw_text, speaker_type,
      position, quarter
    )::HUGEINT) AS digest
  FROM transcripts
  GROUP BY firm_id
),
written AS (
  SELECT firm_id, count(*) AS n, sum(hash(
      sentence_id, firm_id, permno, transcript_id, earnings_call_date, raw_text, speaker_type,
      position, quarter
    )::HUGEINT) AS digest
  FROM map_sentences
  GROUP BY firm_id
)
SELECT firm_id || ' has other sentences than its transcripts' AS violation
FROM (SELECT firm_id FROM completed UNION SELECT firm_id FROM written)
LEFT JOIN ingested i USING (firm_id)
LEFT JOIN written w USING (firm_id)
WHERE i.n IS DISTINCT FROM w.n OR i.digest IS DISTINCT FROM w.digest
ORDER BY firm_id;
