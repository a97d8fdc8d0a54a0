-- title: Exposures carry permno, gvkey and earnings_call_date of their call
-- group: themes
-- unit: rows
-- of: theme_exposures
WITH spoken AS (
  SELECT DISTINCT transcript_id, firm_id, earnings_call_date FROM sentences
)
SELECT e.theme_id || ' ' || e.transcript_id || ' is of ' || e.firm_id || ' on '
  || e.earnings_call_date || ', with other identifiers than its call' AS violation
FROM theme_exposures e
LEFT JOIN spoken s USING (transcript_id, firm_id, earnings_call_date)
LEFT JOIN calls c USING (firm_id, earnings_call_date)
WHERE s.transcript_id IS NULL OR c.firm_id IS NULL OR e.firm_name <> c.firm_name
  OR e.permno IS DISTINCT FROM c.permno OR e.gvkey IS DISTINCT FROM c.gvkey;
