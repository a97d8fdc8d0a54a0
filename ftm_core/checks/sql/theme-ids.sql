-- title: Theme ids are theme_{quarter}_NNN, each once
-- group: themes
-- unit: themes
-- of: themes
SELECT theme_id || ' of ' || min(quarter) || ', ' || count(*) || ' times' AS violation
FROM themes
GROUP BY theme_id
HAVING count(*) > 1 OR min(quarter) <> $quarter OR max(quarter) <> $quarter
  OR NOT regexp_full_match(theme_id, 'theme_' || $quarter || '_[0-9]{3,}');
