ALTER TABLE dct.trigger_executions
    ADD COLUMN connection_id UUID,
    ADD COLUMN lease_keys TEXT[] DEFAULT '{}' NOT NULL,
    ADD COLUMN line_order BIGINT DEFAULT 4611686018427387904 NOT NULL,
    ADD COLUMN waits_since TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    ADD COLUMN first_dispatched_at TIMESTAMP WITH TIME ZONE;

UPDATE dct.trigger_executions AS e
SET connection_id = events.connection_id, line_order = events.seq
FROM dct.events
WHERE events.id = e.event_id AND e.status NOT IN ('completed', 'failed', 'cancelled');

UPDATE dct.trigger_executions AS e
SET waits_since = created_at,
    lease_keys = ARRAY(
        SELECT DISTINCT key
        FROM jsonb_array_elements(e.actions) AS action,
        LATERAL (SELECT action ->> 'type' AS type, action -> 'config' AS config) AS written,
        LATERAL (SELECT CASE
            WHEN type = 'deploy_environment' OR (type = 'run_tests' AND config ->> 'environment' <> '')
                THEN 'environment:' || (config ->> 'environment')
            WHEN type IN ('run_tests', 'update_workspace', 'archive_workspace')
                THEN 'workspace:' || (config ->> 'workspace')
        END AS key) AS needed
        WHERE key NOT LIKE '%:' AND key NOT LIKE '%{{%'
        ORDER BY key
    )
WHERE status NOT IN ('completed', 'failed', 'cancelled');

UPDATE dct.trigger_executions AS e
SET first_dispatched_at = attempts.dispatched_at
FROM dct.execution_attempts AS attempts
WHERE attempts.execution_id = e.id AND attempts.attempt = 1
    AND attempts.dispatched_at > clock_timestamp() - interval '1 day';

ALTER TABLE dct.trigger_executions
    ADD COLUMN line BIGINT GENERATED ALWAYS AS (
        CASE WHEN trigger_id IS NOT NULL AND item_id IS NOT NULL AND subject IS NOT NULL
        THEN hash_array_extended(ARRAY[
            uuid_hash_extended(trigger_id, 0), uuid_hash_extended(item_id, 0), hashtextextended(subject, 0)
        ], 0) END
    ) STORED,
    ADD COLUMN cohort BIGINT GENERATED ALWAYS AS (
        hash_array_extended(ARRAY[
            COALESCE(uuid_hash_extended(trigger_id, 0), 0), COALESCE(uuid_hash_extended(connection_id, 0), 0),
            hashtextextended(job_name, 0), hash_array_extended(lease_keys, 0),
            jsonb_hash_extended(resource_limits, 0), priority, agents, workspaces, (attempt > 0)::int
        ], 0)
    ) STORED,
    SET (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

DROP INDEX dct.ix_trigger_executions_waiting;
DROP INDEX dct.ix_trigger_executions_trigger_id;
DROP INDEX dct.ix_trigger_executions_workspace_id;
DROP INDEX dct.ix_trigger_executions_agent_id;
DROP INDEX dct.ix_trigger_executions_dagster_run_id;
DROP INDEX dct.ix_trigger_executions_completed_at;
DROP INDEX dct.ix_execution_attempts_first;

CREATE INDEX ix_trigger_executions_workspace_id ON dct.trigger_executions (workspace_id) WHERE workspace_id IS NOT NULL;
CREATE INDEX ix_trigger_executions_agent_id ON dct.trigger_executions (agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX ix_trigger_executions_dagster_run_id ON dct.trigger_executions (dagster_run_id) WHERE dagster_run_id IS NOT NULL;
CREATE INDEX ix_trigger_executions_completed_at ON dct.trigger_executions (completed_at DESC) WHERE completed_at IS NOT NULL;
CREATE INDEX ix_trigger_executions_queue ON dct.trigger_executions (cohort, waits_since, line_order) WHERE status = 'waiting' AND not_before IS NULL;
CREATE INDEX ix_trigger_executions_pausing ON dct.trigger_executions (not_before) WHERE status = 'waiting' AND not_before IS NOT NULL;
CREATE INDEX ix_trigger_executions_line ON dct.trigger_executions (line, line_order) WHERE status = 'waiting' AND line IS NOT NULL;
CREATE INDEX ix_trigger_executions_starts ON dct.trigger_executions (trigger_id, first_dispatched_at DESC) WHERE first_dispatched_at IS NOT NULL;
