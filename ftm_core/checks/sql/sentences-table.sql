-- title: sentences equals the map output
-- group: tables
-- unit: firms
-- of: (SELECT DISTINCT firm_id FROM map_sentences)
WITH shared AS (SELECT COLUMNS(lambda c: c NOT IN ('vector', 'theme_id')) FROM sentences),
mapped AS (SELECT COLUMNS(lambda c: c NOT IN ('vector', 'theme_id')) FROM map_sentences),
listed AS (
  SELECT firm_id, count(*) AS n, sum(hash(shared)::HUGEINT) AS digest FROM shared GROUP BY firm_id
),
written AS (
  SELECT firm_id, count(*) AS n, sum(hash(mapped)::HUGEINT) AS digest FROM mapped GROUP BY firm_id
)
SELECT firm_id || ' has other rows' AS violation
FROM listed l FULL JOIN written w USING (firm_id)
WHERE l.n IS DISTINCT FROM w.n OR l.digest IS DISTINCT FROM w.digest
ORDER BY firm_id;
