CREATE INDEX ix_trigger_executions_long ON dct.trigger_executions (completed_at)
WHERE completed_at - created_at > '01:00:00'::interval;
