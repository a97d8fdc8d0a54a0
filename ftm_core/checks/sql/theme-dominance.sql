-- title: No firm has more than {max_firm_dominance:.0%} of a theme's sentences
-- group: themes
-- unit: themes
-- of: themes
WITH counted AS (
  SELECT theme_id, firm_id, count(*) AS n FROM sentences WHERE theme_id IS NOT NULL GROUP BY ALL
),
shares AS (
  SELECT theme_id, firm_id, n / sum(n) OVER (PARTITION BY theme_id) AS share FROM counted
)
SELECT firm_id || ' has ' || round(100 * share)::INTEGER || '% of ' || theme_id AS violation
FROM themes JOIN shares USING (theme_id)
WHERE share > $max_firm_dominance
QUALIFY row_number() OVER (PARTITION BY theme_id ORDER BY share DESC, firm_id) = 1;
