-- title: There are themes
-- group: themes
SELECT count(DISTINCT topic_id) || ' topics of ' || count(DISTINCT firm_id) || ' firms held none: a theme '
  || 'needs similar sentences of at least ' || $min_firms || ' firms, and no firm may have '
  || 'more than ' || round(100 * $max_firm_dominance)::INTEGER || '% of them; run the quarter with '
  || 'more firms' AS violation
FROM firm_topics
HAVING NOT EXISTS (FROM themes);

SELECT (SELECT count(*) FROM themes) || ' themes, '
  || (SELECT count(DISTINCT topic_id) FROM theme_contributions) || ' of '
  || (SELECT count(DISTINCT topic_id) FROM firm_topics) || ' topics in one';
