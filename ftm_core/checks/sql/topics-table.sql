-- title: topics equals the map output, with its themes
-- group: tables
-- unit: topics
-- of: topics
WITH shared AS (SELECT COLUMNS(lambda c: c NOT IN ('vector', 'theme_id')) FROM topics),
mapped AS (SELECT COLUMNS(lambda c: c NOT IN ('vector', 'theme_id')) FROM firm_topics),
listed AS (
  SELECT firm_id, count(*) AS n, sum(hash(shared)::HUGEINT) AS digest FROM shared GROUP BY firm_id
),
written AS (
  SELECT firm_id, count(*) AS n, sum(hash(mapped)::HUGEINT) AS digest FROM mapped GROUP BY firm_id
),
contributed AS (
  SELECT topic_id, list(theme_id) AS themes FROM theme_contributions GROUP BY topic_id
)
SELECT firm_id || ' has other rows' AS violation
FROM listed l FULL JOIN written w USING (firm_id)
WHERE l.n IS DISTINCT FROM w.n OR l.digest IS DISTINCT FROM w.digest
UNION ALL
SELECT topic_id || ' has theme ' || coalesce(theme_id, 'none') || ', contributes to '
  || coalesce(array_to_string(themes, ', '), 'none')
FROM topics LEFT JOIN contributed USING (topic_id)
WHERE (theme_id IS NULL) <> (themes IS NULL) OR NOT list_contains(themes, theme_id);
