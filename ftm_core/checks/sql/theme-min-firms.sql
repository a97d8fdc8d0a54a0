-- title: Every theme is based on {min_firms} firms or more
-- group: themes
-- unit: themes
-- of: themes
WITH counted AS (
  SELECT theme_id, count(DISTINCT firm_id) AS n
  FROM sentences
  WHERE theme_id IS NOT NULL
  GROUP BY theme_id
)
SELECT theme_id || ' is based on ' || coalesce(n, 0) AS violation
FROM themes LEFT JOIN counted USING (theme_id)
WHERE coalesce(n, 0) < $min_firms;
