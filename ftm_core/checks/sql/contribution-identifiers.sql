-- title: Contributions carry permno, gvkey and earnings_call_date of their topic
-- group: themes
-- unit: rows
-- of: theme_contributions
SELECT c.topic_id || ' differs in ' || concat_ws(', ',
    CASE WHEN c.firm_id <> t.firm_id THEN 'firm_id' END,
    CASE WHEN c.firm_name <> t.firm_name THEN 'firm_name' END,
    CASE WHEN c.permno IS DISTINCT FROM t.permno THEN 'permno' END,
    CASE WHEN c.gvkey IS DISTINCT FROM t.gvkey THEN 'gvkey' END,
    CASE WHEN c.earnings_call_date <> t.earnings_call_date THEN 'earnings_call_date' END
  ) AS violation
FROM theme_contributions c JOIN firm_topics t USING (topic_id)
WHERE c.firm_id <> t.firm_id OR c.firm_name <> t.firm_name
  OR c.permno IS DISTINCT FROM t.permno OR c.gvkey IS DISTINCT FROM t.gvkey
  OR c.earnings_call_date <> t.earnings_call_date;
