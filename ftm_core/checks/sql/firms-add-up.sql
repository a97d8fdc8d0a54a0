-- title: Every planned firm is completed or a recorded failure
-- group: input
-- unit: firms
-- of: planned
WITH firms AS (
  SELECT firm_id FROM planned UNION SELECT firm_id FROM completed
  UNION SELECT firm_id FROM failed_firms UNION SELECT firm_id FROM map_sentences
),
written AS (SELECT DISTINCT firm_id FROM map_sentences),
counted AS (
  SELECT
    firm_id,
    (SELECT count(*) FROM planned p WHERE p.firm_id = f.firm_id) AS n_planned,
    (SELECT count(*) FROM completed c WHERE c.firm_id = f.firm_id) AS n_completed,
    EXISTS (FROM failed_firms x WHERE x.firm_id = f.firm_id) AS has_failed,
    EXISTS (FROM written w WHERE w.firm_id = f.firm_id) AS has_rows
  FROM firms f
)
SELECT firm_id || ' ' || CASE
    WHEN n_planned <> 1 THEN 'is planned ' || n_planned || ' times'
    WHEN n_completed > 1 THEN 'is completed ' || n_completed || ' times'
    WHEN n_completed = 0 AND NOT has_failed THEN 'is neither completed nor failed'
    WHEN n_completed > 0 THEN 'is completed without rows'
    ELSE 'has stray rows'
  END AS violation
FROM counted
WHERE n_planned <> 1 OR n_completed > 1 OR (n_completed = 0 AND NOT has_failed)
  OR (n_completed > 0) <> has_rows
ORDER BY firm_id;
