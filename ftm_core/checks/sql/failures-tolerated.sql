-- title: Failed firms are within tolerance
-- group: input
SELECT firm_id || ': ' || error_message AS violation
FROM failures
WHERE (SELECT count(DISTINCT firm_id) FROM failures)
  > $max_failure_rate * (SELECT count(*) FROM planned)
ORDER BY number
LIMIT 1;

SELECT count(DISTINCT firm_id) || ' of ' || (SELECT count(*) FROM planned)
  || ' firms failed, tolerated ' || round(100 * $max_failure_rate)::INTEGER || '%'
FROM failures;
