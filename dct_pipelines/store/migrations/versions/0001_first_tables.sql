-- The first tables of schema dct. Frozen: a later change is a later revision.

CREATE TABLE dct.shapes (
    job_name TEXT NOT NULL,
    actions TEXT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    last_used_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_shapes PRIMARY KEY (job_name),
    CONSTRAINT uq_shapes_actions UNIQUE (actions)
);

CREATE TABLE dct.test_suites (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    spec JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_test_suites PRIMARY KEY (id),
    CONSTRAINT uq_test_suites_name UNIQUE (name)
);

CREATE TABLE dct.channels (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    spec JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_channels PRIMARY KEY (id),
    CONSTRAINT uq_channels_name UNIQUE (name)
);

CREATE TABLE dct.workspace_drafts (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    spec JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_workspace_drafts PRIMARY KEY (id),
    CONSTRAINT uq_workspace_drafts_name UNIQUE (name)
);

CREATE TABLE dct.environments (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    spec JSONB DEFAULT '{}'::jsonb NOT NULL,
    branch TEXT NOT NULL,
    current_commit TEXT,
    merged_from TEXT,
    running_since TIMESTAMP WITH TIME ZONE,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_environments PRIMARY KEY (id),
    CONSTRAINT uq_environments_name UNIQUE (name)
);

CREATE TABLE dct.users (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT NOT NULL,
    email TEXT,
    role TEXT NOT NULL,
    password_hash TEXT,
    is_active BOOLEAN DEFAULT true NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT ck_users_role_known CHECK (role IN ('developer', 'tester', 'product_manager', 'operator', 'admin')),
    CONSTRAINT uq_users_name UNIQUE (name)
);

CREATE TABLE dct.activity (
    id BIGSERIAL NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    kind TEXT NOT NULL,
    trigger_id UUID,
    execution_id UUID,
    item_id UUID,
    data JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT pk_activity PRIMARY KEY (id)
);
CREATE INDEX ix_activity_execution_id ON dct.activity (execution_id);
CREATE INDEX ix_activity_at ON dct.activity (at DESC);
COMMENT ON TABLE dct.activity IS 'Append-only: what happened, in order, for live views.';

CREATE TABLE dct.audit_log (
    id BIGSERIAL NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    actor TEXT NOT NULL,
    verb TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_name TEXT NOT NULL,
    detail JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (id)
);
CREATE INDEX ix_audit_log_object_kind_object_name ON dct.audit_log (object_kind, object_name);
CREATE INDEX ix_audit_log_at ON dct.audit_log (at DESC);

CREATE TABLE dct.intake_order (
    id INTEGER DEFAULT 1 NOT NULL,
    next_seq BIGINT DEFAULT 1 NOT NULL,
    trigger_generation BIGINT DEFAULT 1 NOT NULL,
    CONSTRAINT pk_intake_order PRIMARY KEY (id),
    CONSTRAINT ck_intake_order_single_row CHECK (id = 1)
);
COMMENT ON TABLE dct.intake_order IS 'One row. Its lock orders events and changes of triggers in one total order (decision 0002).';

CREATE TABLE dct.connections (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    config JSONB DEFAULT '{}'::jsonb NOT NULL,
    credential_ref TEXT,
    is_enabled BOOLEAN DEFAULT true NOT NULL,
    health TEXT DEFAULT 'unknown' NOT NULL,
    health_detail TEXT,
    health_since TIMESTAMP WITH TIME ZONE,
    consecutive_failures INTEGER DEFAULT 0 NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE,
    last_polled_at TIMESTAMP WITH TIME ZONE,
    last_ok_at TIMESTAMP WITH TIME ZONE,
    next_due_at TIMESTAMP WITH TIME ZONE,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_connections PRIMARY KEY (id),
    CONSTRAINT ck_connections_health_known CHECK (health IN ('unknown', 'ok', 'failing', 'down', 'throttled')),
    CONSTRAINT uq_connections_name UNIQUE (name)
);

CREATE TABLE dct.api_tokens (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    user_id UUID NOT NULL,
    name TEXT NOT NULL,
    token_sha256 TEXT NOT NULL,
    scopes TEXT[] DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    last_used_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_api_tokens PRIMARY KEY (id),
    CONSTRAINT fk_api_tokens_user_id FOREIGN KEY(user_id) REFERENCES dct.users (id) ON DELETE CASCADE,
    CONSTRAINT uq_api_tokens_token_sha256 UNIQUE (token_sha256)
);
CREATE INDEX ix_api_tokens_user_id ON dct.api_tokens (user_id);

CREATE TABLE dct.sessions (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    user_id UUID NOT NULL,
    token_sha256 TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seen_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sessions PRIMARY KEY (id),
    CONSTRAINT fk_sessions_user_id FOREIGN KEY(user_id) REFERENCES dct.users (id) ON DELETE CASCADE,
    CONSTRAINT uq_sessions_token_sha256 UNIQUE (token_sha256)
);
CREATE INDEX ix_sessions_user_id ON dct.sessions (user_id);

CREATE TABLE dct.context_library (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    connection_id UUID,
    location TEXT NOT NULL,
    title TEXT DEFAULT '' NOT NULL,
    config JSONB DEFAULT '{}'::jsonb NOT NULL,
    tags JSONB DEFAULT '[]'::jsonb NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_context_library PRIMARY KEY (id),
    CONSTRAINT ck_context_library_kind_known CHECK (kind IN ('jira_ticket', 'jira_query', 'slack_message', 'slack_channel', 'email_thread', 'mailbox', 'git_repository', 'pull_request', 'document', 'link')),
    CONSTRAINT uq_context_library_name UNIQUE (name),
    CONSTRAINT fk_context_library_connection_id FOREIGN KEY(connection_id) REFERENCES dct.connections (id)
);
CREATE INDEX ix_context_library_connection_id ON dct.context_library (connection_id);

CREATE TABLE dct.item_cursors (
    item_id UUID NOT NULL,
    connection_id UUID NOT NULL,
    token JSONB DEFAULT '{}'::jsonb NOT NULL,
    polled_at TIMESTAMP WITH TIME ZONE,
    read_ok_at TIMESTAMP WITH TIME ZONE,
    changed_at TIMESTAMP WITH TIME ZONE,
    state TEXT DEFAULT 'new' NOT NULL,
    detail TEXT,
    consecutive_failures INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_item_cursors PRIMARY KEY (item_id),
    CONSTRAINT ck_item_cursors_state_known CHECK (state IN ('new', 'ok', 'reading', 'unreadable')),
    CONSTRAINT fk_item_cursors_connection_id FOREIGN KEY(connection_id) REFERENCES dct.connections (id) ON DELETE CASCADE
);
CREATE INDEX ix_item_cursors_connection_id ON dct.item_cursors (connection_id);

CREATE TABLE dct.event_keys (
    connection_id UUID NOT NULL,
    dedup_key TEXT NOT NULL,
    event_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_event_keys PRIMARY KEY (connection_id, dedup_key),
    CONSTRAINT fk_event_keys_connection_id FOREIGN KEY(connection_id) REFERENCES dct.connections (id) ON DELETE CASCADE
);
CREATE INDEX ix_event_keys_created_at ON dct.event_keys (created_at);
COMMENT ON TABLE dct.event_keys IS 'Keys of events already taken in; kept longer than the events, than any overlap or replay.';

CREATE TABLE dct.checks (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    repository_item_id UUID NOT NULL,
    commit TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    summary TEXT DEFAULT '' NOT NULL,
    url TEXT,
    reported_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_checks PRIMARY KEY (id),
    CONSTRAINT uq_checks_repository_item_id_commit_name UNIQUE (repository_item_id, commit, name),
    CONSTRAINT ck_checks_state_known CHECK (state IN ('pending', 'success', 'failure', 'cancelled', 'skipped', 'neutral')),
    CONSTRAINT fk_checks_repository_item_id FOREIGN KEY(repository_item_id) REFERENCES dct.context_library (id)
);
CREATE INDEX ix_checks_repository_item_id ON dct.checks (repository_item_id);
CREATE INDEX ix_checks_repository_item_id_reported_at ON dct.checks (repository_item_id, reported_at);

CREATE TABLE dct.workspaces (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    title TEXT NOT NULL,
    draft TEXT,
    repository_item_id UUID NOT NULL,
    branch TEXT NOT NULL,
    start_commit TEXT NOT NULL,
    directory TEXT NOT NULL,
    state TEXT NOT NULL,
    execution_id UUID NOT NULL,
    step TEXT DEFAULT '' NOT NULL,
    suites JSONB DEFAULT '[]'::jsonb NOT NULL,
    deliverables JSONB DEFAULT '[]'::jsonb NOT NULL,
    context_digest TEXT DEFAULT '' NOT NULL,
    archive_path TEXT,
    archive_sha256 TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    retain_until TIMESTAMP WITH TIME ZONE,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_workspaces PRIMARY KEY (id),
    CONSTRAINT ck_workspaces_state_known CHECK (state IN ('creating', 'open', 'archived')),
    CONSTRAINT fk_workspaces_repository_item_id FOREIGN KEY(repository_item_id) REFERENCES dct.context_library (id)
);
CREATE INDEX ix_workspaces_repository_item_id ON dct.workspaces (repository_item_id);
CREATE INDEX ix_workspaces_state ON dct.workspaces (state);
CREATE INDEX ix_workspaces_execution_id ON dct.workspaces (execution_id);

CREATE TABLE dct.dynamic_context_triggers (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    name TEXT NOT NULL,
    description TEXT DEFAULT '' NOT NULL,
    status TEXT DEFAULT 'active' NOT NULL,
    status_detail TEXT,
    priority INTEGER DEFAULT 5 NOT NULL,
    trigger_type TEXT NOT NULL,
    requires_agent BOOLEAN DEFAULT false NOT NULL,
    context_item_id UUID,
    workspace_draft_id UUID,
    listener_config JSONB DEFAULT '{}'::jsonb NOT NULL,
    workspace_config JSONB DEFAULT '{}'::jsonb NOT NULL,
    agent_config JSONB DEFAULT '{}'::jsonb NOT NULL,
    deliverables JSONB DEFAULT '[]'::jsonb NOT NULL,
    resource_limits JSONB DEFAULT '{}'::jsonb NOT NULL,
    match TEXT DEFAULT 'any' NOT NULL,
    on_own_writes BOOLEAN DEFAULT false NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    job_name TEXT NOT NULL,
    active_since TIMESTAMP WITH TIME ZONE NOT NULL,
    last_triggered TIMESTAMP WITH TIME ZONE,
    execution_count BIGINT DEFAULT 0 NOT NULL,
    failure_count BIGINT DEFAULT 0 NOT NULL,
    applied_set TEXT,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_dynamic_context_triggers PRIMARY KEY (id),
    CONSTRAINT ck_dynamic_context_triggers_priority_range CHECK (priority BETWEEN 1 AND 10),
    CONSTRAINT ck_dynamic_context_triggers_match_known CHECK (match IN ('any', 'all')),
    CONSTRAINT ck_dynamic_context_triggers_status_known CHECK (status IN ('active', 'paused', 'disabled', 'error')),
    CONSTRAINT ck_dynamic_context_triggers_trigger_type_known CHECK (trigger_type IN ('development', 'testing', 'deployment', 'business')),
    CONSTRAINT fk_dynamic_context_triggers_context_item_id FOREIGN KEY(context_item_id) REFERENCES dct.context_library (id),
    CONSTRAINT fk_dynamic_context_triggers_workspace_draft_id FOREIGN KEY(workspace_draft_id) REFERENCES dct.workspace_drafts (id)
);
CREATE INDEX ix_dynamic_context_triggers_status ON dct.dynamic_context_triggers (status);
CREATE UNIQUE INDEX uq_dynamic_context_triggers_live_name ON dct.dynamic_context_triggers (name) WHERE deleted_at IS NULL;
CREATE INDEX ix_dynamic_context_triggers_context_item_id ON dct.dynamic_context_triggers (context_item_id);
CREATE INDEX ix_dynamic_context_triggers_workspace_draft_id ON dct.dynamic_context_triggers (workspace_draft_id);

CREATE TABLE dct.item_timers (
    item_id UUID NOT NULL,
    subject TEXT NOT NULL,
    key TEXT NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_item_timers PRIMARY KEY (item_id, subject, key),
    CONSTRAINT fk_item_timers_item_id FOREIGN KEY(item_id) REFERENCES dct.context_library (id) ON DELETE CASCADE
);
CREATE INDEX ix_item_timers_due_at ON dct.item_timers (due_at);

CREATE TABLE dct.snapshots (
    id BIGSERIAL NOT NULL,
    item_id UUID NOT NULL,
    subject TEXT NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq BIGINT,
    state JSONB DEFAULT '{}'::jsonb NOT NULL,
    observed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_snapshots PRIMARY KEY (id),
    CONSTRAINT fk_snapshots_item_id FOREIGN KEY(item_id) REFERENCES dct.context_library (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_snapshots_current ON dct.snapshots (item_id, subject) WHERE to_seq IS NULL;
CREATE INDEX ix_snapshots_item_id_subject_from_seq ON dct.snapshots (item_id, subject, from_seq);
COMMENT ON TABLE dct.snapshots IS 'Valid for events with from_seq <= seq < to_seq; to_seq NULL is the current state.';

CREATE TABLE dct.events (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    seq BIGINT NOT NULL,
    connection_id UUID NOT NULL,
    item_id UUID NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    dedup_key TEXT NOT NULL,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    observed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    actor JSONB,
    payload JSONB DEFAULT '{}'::jsonb NOT NULL,
    cause JSONB,
    release TEXT NOT NULL,
    CONSTRAINT pk_events PRIMARY KEY (id),
    CONSTRAINT uq_events_connection_id_dedup_key UNIQUE (connection_id, dedup_key),
    CONSTRAINT uq_events_seq UNIQUE (seq),
    CONSTRAINT fk_events_connection_id FOREIGN KEY(connection_id) REFERENCES dct.connections (id),
    CONSTRAINT fk_events_item_id FOREIGN KEY(item_id) REFERENCES dct.context_library (id)
);
CREATE INDEX ix_events_item_id_seq ON dct.events (item_id, seq);
CREATE INDEX ix_events_kind_seq ON dct.events (kind, seq);
CREATE INDEX ix_events_item_id_subject_seq ON dct.events (item_id, subject, seq);
CREATE INDEX ix_events_connection_id ON dct.events (connection_id);
CREATE INDEX ix_events_occurred_at ON dct.events (occurred_at DESC);

CREATE TABLE dct.own_writes (
    item_id UUID NOT NULL,
    external_id TEXT NOT NULL,
    execution_id UUID NOT NULL,
    chain UUID[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_own_writes PRIMARY KEY (item_id, external_id),
    CONSTRAINT fk_own_writes_item_id FOREIGN KEY(item_id) REFERENCES dct.context_library (id) ON DELETE CASCADE
);
CREATE INDEX ix_own_writes_execution_id ON dct.own_writes (execution_id);
COMMENT ON TABLE dct.own_writes IS 'What we are about to write, said before the write, so that its event gets its cause.';

CREATE TABLE dct.agents (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    profile TEXT NOT NULL,
    workspace_id UUID,
    status TEXT NOT NULL,
    pid INTEGER,
    started_at TIMESTAMP WITH TIME ZONE,
    heartbeat_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    usage JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_agents PRIMARY KEY (id),
    CONSTRAINT fk_agents_workspace_id FOREIGN KEY(workspace_id) REFERENCES dct.workspaces (id)
);
CREATE INDEX ix_agents_workspace_id ON dct.agents (workspace_id);

CREATE TABLE dct.trigger_items (
    trigger_id UUID NOT NULL,
    item_id UUID NOT NULL,
    order_index INTEGER NOT NULL,
    CONSTRAINT pk_trigger_items PRIMARY KEY (trigger_id, item_id),
    CONSTRAINT fk_trigger_items_trigger_id FOREIGN KEY(trigger_id) REFERENCES dct.dynamic_context_triggers (id) ON DELETE CASCADE,
    CONSTRAINT fk_trigger_items_item_id FOREIGN KEY(item_id) REFERENCES dct.context_library (id)
);
CREATE INDEX ix_trigger_items_item_id ON dct.trigger_items (item_id);

CREATE TABLE dct.trigger_conditions (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    trigger_id UUID NOT NULL,
    condition_type TEXT NOT NULL,
    condition_config JSONB DEFAULT '{}'::jsonb NOT NULL,
    order_index INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_trigger_conditions PRIMARY KEY (id),
    CONSTRAINT fk_trigger_conditions_trigger_id FOREIGN KEY(trigger_id) REFERENCES dct.dynamic_context_triggers (id) ON DELETE CASCADE
);
CREATE INDEX ix_trigger_conditions_trigger_id ON dct.trigger_conditions (trigger_id);

CREATE TABLE dct.trigger_actions (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    trigger_id UUID NOT NULL,
    action_type TEXT NOT NULL,
    name TEXT NOT NULL,
    action_config JSONB DEFAULT '{}'::jsonb NOT NULL,
    requires_agent BOOLEAN DEFAULT false NOT NULL,
    order_index INTEGER NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_trigger_actions PRIMARY KEY (id),
    CONSTRAINT fk_trigger_actions_trigger_id FOREIGN KEY(trigger_id) REFERENCES dct.dynamic_context_triggers (id) ON DELETE CASCADE
);
CREATE INDEX ix_trigger_actions_trigger_id ON dct.trigger_actions (trigger_id);

CREATE TABLE dct.trigger_versions (
    trigger_id UUID NOT NULL,
    version INTEGER NOT NULL,
    status TEXT NOT NULL,
    spec JSONB DEFAULT '{}'::jsonb NOT NULL,
    item_ids UUID[] NOT NULL,
    from_seq BIGINT NOT NULL,
    to_seq BIGINT,
    active_since TIMESTAMP WITH TIME ZONE NOT NULL,
    reason TEXT DEFAULT '' NOT NULL,
    created_by TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_trigger_versions PRIMARY KEY (trigger_id, version),
    CONSTRAINT fk_trigger_versions_trigger_id FOREIGN KEY(trigger_id) REFERENCES dct.dynamic_context_triggers (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX uq_trigger_versions_current ON dct.trigger_versions (trigger_id) WHERE to_seq IS NULL;
CREATE INDEX ix_trigger_versions_item_ids ON dct.trigger_versions USING gin (item_ids);
COMMENT ON TABLE dct.trigger_versions IS 'Every change, also of the status, is a version; in force for from_seq <= event.seq < to_seq.';

CREATE TABLE dct.decisions (
    event_id UUID NOT NULL,
    trigger_id UUID NOT NULL,
    trigger_version INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    ignored_because TEXT,
    because TEXT NOT NULL,
    conditions JSONB DEFAULT '[]'::jsonb NOT NULL,
    once_key TEXT NOT NULL,
    wait_reason TEXT,
    execution_id UUID,
    release TEXT NOT NULL,
    decided_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_decisions PRIMARY KEY (event_id, trigger_id),
    CONSTRAINT ck_decisions_outcome_known CHECK (outcome IN ('fired', 'held', 'deduplicated', 'ignored', 'not_matched')),
    CONSTRAINT fk_decisions_event_id FOREIGN KEY(event_id) REFERENCES dct.events (id),
    CONSTRAINT fk_decisions_trigger_id FOREIGN KEY(trigger_id) REFERENCES dct.dynamic_context_triggers (id)
);
CREATE INDEX ix_decisions_trigger_id_decided_at ON dct.decisions (trigger_id, decided_at DESC);
CREATE INDEX ix_decisions_execution_id ON dct.decisions (execution_id);

CREATE TABLE dct.trigger_firings (
    trigger_id UUID NOT NULL,
    once_key TEXT NOT NULL,
    execution_id UUID NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_trigger_firings PRIMARY KEY (trigger_id, once_key),
    CONSTRAINT fk_trigger_firings_trigger_id FOREIGN KEY(trigger_id) REFERENCES dct.dynamic_context_triggers (id) ON DELETE CASCADE
);
CREATE INDEX ix_trigger_firings_created_at ON dct.trigger_firings (created_at);
COMMENT ON TABLE dct.trigger_firings IS 'What a trigger has fired for: the guard that nothing fires twice. Kept longer than any replay.';

CREATE TABLE dct.trigger_executions (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    trigger_id UUID,
    trigger_version INTEGER,
    event_id UUID,
    item_id UUID,
    subject TEXT,
    status TEXT DEFAULT 'waiting' NOT NULL,
    triggered_by TEXT NOT NULL,
    created_by TEXT NOT NULL,
    priority INTEGER DEFAULT 5 NOT NULL,
    job_name TEXT NOT NULL,
    actions JSONB DEFAULT '{}'::jsonb NOT NULL,
    resource_limits JSONB DEFAULT '{}'::jsonb NOT NULL,
    context_snapshot JSONB DEFAULT '{}'::jsonb NOT NULL,
    cause_chain UUID[] DEFAULT '{}' NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE,
    wait_reason TEXT,
    wait_detail TEXT,
    attempt INTEGER DEFAULT 0 NOT NULL,
    dispatched_at TIMESTAMP WITH TIME ZONE,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    deadline_at TIMESTAMP WITH TIME ZONE,
    cancel_requested_at TIMESTAMP WITH TIME ZONE,
    cancel_requested_by TEXT,
    dagster_run_id TEXT,
    workspace_id UUID,
    agent_id UUID,
    deliverables JSONB DEFAULT '[]'::jsonb NOT NULL,
    deliverables_completed JSONB DEFAULT '[]'::jsonb NOT NULL,
    error_message TEXT,
    error_is_transient BOOLEAN,
    metrics JSONB DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT pk_trigger_executions PRIMARY KEY (id),
    CONSTRAINT ck_trigger_executions_priority_range CHECK (priority BETWEEN 1 AND 10),
    CONSTRAINT ck_trigger_executions_status_known CHECK (status IN ('waiting', 'dispatched', 'running', 'awaiting_approval', 'awaiting_deliverables', 'compensating', 'completed', 'failed', 'cancelled')),
    CONSTRAINT ck_trigger_executions_triggered_by_known CHECK (triggered_by IN ('event', 'manual', 'replay')),
    CONSTRAINT fk_trigger_executions_trigger_id FOREIGN KEY(trigger_id) REFERENCES dct.dynamic_context_triggers (id),
    CONSTRAINT fk_trigger_executions_event_id FOREIGN KEY(event_id) REFERENCES dct.events (id),
    CONSTRAINT fk_trigger_executions_item_id FOREIGN KEY(item_id) REFERENCES dct.context_library (id),
    CONSTRAINT fk_trigger_executions_workspace_id FOREIGN KEY(workspace_id) REFERENCES dct.workspaces (id),
    CONSTRAINT fk_trigger_executions_agent_id FOREIGN KEY(agent_id) REFERENCES dct.agents (id)
);
CREATE INDEX ix_trigger_executions_started_at ON dct.trigger_executions (started_at DESC);
CREATE INDEX ix_trigger_executions_item_id ON dct.trigger_executions (item_id);
CREATE INDEX ix_trigger_executions_workspace_id ON dct.trigger_executions (workspace_id);
CREATE INDEX ix_trigger_executions_event_id ON dct.trigger_executions (event_id);
CREATE INDEX ix_trigger_executions_dagster_run_id ON dct.trigger_executions (dagster_run_id);
CREATE INDEX ix_trigger_executions_agent_id ON dct.trigger_executions (agent_id);
CREATE INDEX ix_trigger_executions_completed_at ON dct.trigger_executions (completed_at DESC);
CREATE INDEX ix_trigger_executions_created_at ON dct.trigger_executions (created_at DESC);
CREATE INDEX ix_trigger_executions_status ON dct.trigger_executions (status);
CREATE INDEX ix_trigger_executions_trigger_id_created_at ON dct.trigger_executions (trigger_id, created_at DESC);
CREATE INDEX ix_trigger_executions_waiting ON dct.trigger_executions (priority, created_at) WHERE status = 'waiting';
CREATE INDEX ix_trigger_executions_trigger_id ON dct.trigger_executions (trigger_id);

CREATE TABLE dct.execution_attempts (
    execution_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    state TEXT DEFAULT 'dispatched' NOT NULL,
    run_id TEXT,
    process TEXT,
    dispatched_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    heartbeat_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    error_message TEXT,
    CONSTRAINT pk_execution_attempts PRIMARY KEY (execution_id, attempt),
    CONSTRAINT ck_execution_attempts_state_known CHECK (state IN ('dispatched', 'running', 'succeeded', 'failed', 'cancelled', 'lost')),
    CONSTRAINT fk_execution_attempts_execution_id FOREIGN KEY(execution_id) REFERENCES dct.trigger_executions (id) ON DELETE CASCADE
);
CREATE INDEX ix_execution_attempts_lost ON dct.execution_attempts (ended_at) WHERE state = 'lost';
CREATE INDEX ix_execution_attempts_live ON dct.execution_attempts (state, heartbeat_at) WHERE state IN ('dispatched', 'running');
CREATE INDEX ix_execution_attempts_first ON dct.execution_attempts (dispatched_at) WHERE attempt = 1;
CREATE INDEX ix_execution_attempts_run_id ON dct.execution_attempts (run_id);

CREATE TABLE dct.action_results (
    execution_id UUID NOT NULL,
    action_index INTEGER NOT NULL,
    action_type TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    idempotency_key TEXT NOT NULL,
    config JSONB DEFAULT '{}'::jsonb NOT NULL,
    summary TEXT DEFAULT '' NOT NULL,
    outputs JSONB DEFAULT '{}'::jsonb NOT NULL,
    links JSONB DEFAULT '[]'::jsonb NOT NULL,
    error_message TEXT,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_action_results PRIMARY KEY (execution_id, action_index),
    CONSTRAINT uq_action_results_idempotency_key UNIQUE (idempotency_key),
    CONSTRAINT ck_action_results_state_known CHECK (state IN ('started', 'done', 'nothing_to_do', 'partly', 'failed', 'uncertain')),
    CONSTRAINT fk_action_results_execution_id FOREIGN KEY(execution_id) REFERENCES dct.trigger_executions (id) ON DELETE CASCADE
);

CREATE TABLE dct.deployments (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    environment_id UUID NOT NULL,
    environment TEXT NOT NULL,
    commit TEXT NOT NULL,
    branch TEXT NOT NULL,
    merged_from TEXT,
    state TEXT NOT NULL,
    execution_id UUID NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    summary TEXT DEFAULT '' NOT NULL,
    CONSTRAINT pk_deployments PRIMARY KEY (id),
    CONSTRAINT ck_deployments_state_known CHECK (state IN ('running', 'succeeded', 'failed')),
    CONSTRAINT fk_deployments_environment_id FOREIGN KEY(environment_id) REFERENCES dct.environments (id),
    CONSTRAINT fk_deployments_execution_id FOREIGN KEY(execution_id) REFERENCES dct.trigger_executions (id)
);
CREATE INDEX ix_deployments_execution_id ON dct.deployments (execution_id);
CREATE INDEX ix_deployments_environment_started_at ON dct.deployments (environment, started_at DESC);
CREATE INDEX ix_deployments_environment_id ON dct.deployments (environment_id);

CREATE TABLE dct.leases (
    key TEXT NOT NULL,
    execution_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    acquired_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_leases PRIMARY KEY (key),
    CONSTRAINT fk_leases_execution_id_attempt FOREIGN KEY(execution_id, attempt) REFERENCES dct.execution_attempts (execution_id, attempt) ON DELETE CASCADE
);
CREATE INDEX ix_leases_execution_id_attempt ON dct.leases (execution_id, attempt);
COMMENT ON TABLE dct.leases IS 'Exclusive holds. A lease lives as long as its attempt''s heartbeat does.';
