-- title: firms has each call of each completed firm, as ingested
-- group: tables
-- unit: calls
-- of: firms
WITH expected AS (FROM calls SEMI JOIN completed USING (firm_id)),
spoken AS (
  SELECT firm_id, earnings_call_date, count(*) AS n FROM map_sentences GROUP BY ALL
),
found AS (
  SELECT firm_id, earnings_call_date, count(*) AS n FROM firm_topics GROUP BY ALL
),
listed AS (SELECT *, count(*) OVER (PARTITION BY firm_id, earnings_call_date) AS n FROM firms)
SELECT coalesce(f.firm_id, e.firm_id) || ' on ' || coalesce(f.earnings_call_date, e.earnings_call_date)
  || CASE
    WHEN f.firm_id IS NULL THEN ' is missing'
    WHEN e.firm_id IS NULL OR f.n > 1 THEN ' occurs ' || f.n || ' times or is no call'
    ELSE ' differs in ' || concat_ws(', ',
      CASE WHEN f.firm_name <> e.firm_name THEN 'firm_name' END,
      CASE WHEN f.ticker IS DISTINCT FROM e.ticker THEN 'ticker' END,
      CASE WHEN f.gvkey IS DISTINCT FROM e.gvkey THEN 'gvkey' END,
      CASE WHEN f.permno IS DISTINCT FROM e.permno THEN 'permno' END,
      CASE WHEN f.link_date IS DISTINCT FROM e.link_date THEN 'link_date' END,
      CASE WHEN f.quarter <> e.quarter THEN 'quarter' END,
      CASE WHEN f.n_sentences <> coalesce(s.n, 0) THEN 'n_sentences' END,
      CASE WHEN f.n_topics <> coalesce(t.n, 0) THEN 'n_topics' END)
  END AS violation
FROM listed f
FULL JOIN expected e USING (firm_id, earnings_call_date)
LEFT JOIN spoken s USING (firm_id, earnings_call_date)
LEFT JOIN found t USING (firm_id, earnings_call_date)
WHERE f.firm_id IS NULL OR e.firm_id IS NULL OR f.n > 1
  OR f.firm_name <> e.firm_name OR f.ticker IS DISTINCT FROM e.ticker
  OR f.gvkey IS DISTINCT FROM e.gvkey OR f.permno IS DISTINCT FROM e.permno
  OR f.link_date IS DISTINCT FROM e.link_date OR f.quarter <> e.quarter
  OR f.n_sentences <> coalesce(s.n, 0) OR f.n_topics <> coalesce(t.n, 0);
