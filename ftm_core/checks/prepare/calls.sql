-- Each call of the transcripts with the identifiers of its firm.
SELECT
  firm_id, earnings_call_date, first(firm_name) AS firm_name, first(ticker) AS ticker,
  first(gvkey) AS gvkey, first(permno) AS permno, first(link_date) AS link_date,
  first(quarter) AS quarter
FROM transcripts
GROUP BY firm_id, earnings_call_date
