DROP INDEX dct.ix_trigger_executions_line;
CREATE INDEX ix_trigger_executions_line ON dct.trigger_executions (line, line_order)
    INCLUDE (cohort, waits_since, not_before) WHERE status = 'waiting';
