-- title: Firm, permno, gvkey, link_date and call date are those ingested, in the quarter
-- group: sentiment
-- unit: rows
-- of: themes_for_sentiment
SELECT r.topic_id || ' differs in ' || concat_ws(', ',
    CASE WHEN c.firm_id IS NULL OR t.earnings_call_date IS DISTINCT FROM r.earnings_call_date
      OR r.earnings_call_date NOT BETWEEN $first_day AND $last_day THEN 'earnings_call_date' END,
    CASE WHEN t.firm_id IS DISTINCT FROM r.firm_id THEN 'firm_id' END,
    CASE WHEN c.firm_name <> r.firm_name THEN 'firm_name' END,
    CASE WHEN c.permno IS DISTINCT FROM r.permno THEN 'permno' END,
    CASE WHEN c.gvkey IS DISTINCT FROM r.gvkey THEN 'gvkey' END,
    CASE WHEN c.link_date IS DISTINCT FROM r.link_date THEN 'link_date' END
  ) AS violation
FROM themes_for_sentiment r
LEFT JOIN calls c USING (firm_id, earnings_call_date)
LEFT JOIN (
  SELECT DISTINCT topic_id, firm_id, earnings_call_date FROM firm_topics
) t USING (topic_id)
WHERE c.firm_id IS NULL OR t.earnings_call_date IS DISTINCT FROM r.earnings_call_date
  OR r.earnings_call_date NOT BETWEEN $first_day AND $last_day
  OR t.firm_id IS DISTINCT FROM r.firm_id OR c.firm_name <> r.firm_name
  OR c.permno IS DISTINCT FROM r.permno OR c.gvkey IS DISTINCT FROM r.gvkey
  OR c.link_date IS DISTINCT FROM r.link_date;
