-- title: Rows are the contributions of firms with permno
-- group: sentiment
WITH linked AS (
  SELECT DISTINCT theme_id, firm_id, topic_id FROM theme_contributions WHERE permno IS NOT NULL
),
rows AS (SELECT DISTINCT theme_id, firm_id, topic_id FROM themes_for_sentiment)
SELECT concat_ws(' ', theme_id, firm_id, topic_id, 'is missing') AS violation
FROM linked ANTI JOIN rows USING (theme_id, firm_id, topic_id)
UNION ALL
SELECT concat_ws(' ', theme_id, firm_id, topic_id, 'is no contribution')
FROM rows ANTI JOIN linked USING (theme_id, firm_id, topic_id);

SELECT (SELECT count(*) FROM themes_for_sentiment) || ' rows + '
  || count(*) FILTER (permno IS NULL) || ' left out of '
  || count(DISTINCT firm_id) FILTER (permno IS NULL) || ' firms without permno'
  || CASE WHEN (SELECT count(*) FROM themes_for_sentiment) + count(*) FILTER (permno IS NULL) = count(*)
    THEN ' = ' ELSE ' != ' END
  || count(*) || ' contributions'
FROM theme_contributions;
