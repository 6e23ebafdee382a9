CREATE TABLE dct.quotas (
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    set_by TEXT NOT NULL,
    set_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_quotas PRIMARY KEY (name),
    CONSTRAINT ck_quotas_name_known CHECK (name IN ('executions', 'agents', 'agent_reservation_percent', 'workspaces')),
    CONSTRAINT ck_quotas_value_not_negative CHECK (value >= 0),
    CONSTRAINT ck_quotas_percent_range CHECK (name <> 'agent_reservation_percent' OR value <= 100)
);

COMMENT ON TABLE dct.quotas IS 'What operators set instead of the settings; a quota without a row is that of its setting.';

CREATE TABLE dct.slots (
    kind TEXT NOT NULL,
    holder UUID NOT NULL,
    agent_class TEXT,
    execution_id UUID,
    attempt INTEGER,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_slots PRIMARY KEY (kind, holder),
    CONSTRAINT ck_slots_kind_known CHECK (kind IN ('agent', 'workspace')),
    CONSTRAINT ck_slots_agent_class_known CHECK (agent_class IN ('standard', 'high')),
    CONSTRAINT ck_slots_agents_have_a_class_and_beat CHECK ((kind = 'agent') = (agent_class IS NOT NULL AND heartbeat_at IS NOT NULL))
);

CREATE INDEX ix_slots_execution_id ON dct.slots (execution_id);

COMMENT ON TABLE dct.slots IS 'One row for each live agent and workspace. They outlive the run that made them.';

INSERT INTO dct.slots (kind, holder, execution_id)
SELECT 'workspace', id, execution_id FROM dct.workspaces WHERE state <> 'archived';

ALTER TABLE dct.trigger_executions
    ADD COLUMN agents SMALLINT DEFAULT 0 NOT NULL,
    ADD COLUMN workspaces SMALLINT DEFAULT 0 NOT NULL;

UPDATE dct.trigger_executions
SET workspaces = (
    SELECT count(*) FROM jsonb_array_elements(actions) AS action
    WHERE action ->> 'type' = 'create_workspace'
        OR (action ->> 'type' = 'deploy_environment' AND action -> 'config' ->> 'workspace' <> '')
)
WHERE status NOT IN ('completed', 'failed', 'cancelled');
