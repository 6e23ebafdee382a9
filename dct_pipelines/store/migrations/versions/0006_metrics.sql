CREATE TABLE dct.connection_reads (
    connection_id UUID NOT NULL,
    hour TIMESTAMP WITH TIME ZONE NOT NULL,
    outcome TEXT NOT NULL,
    reads INTEGER NOT NULL,
    longest_gap_seconds DOUBLE PRECISION,
    CONSTRAINT pk_connection_reads PRIMARY KEY (connection_id, hour, outcome),
    CONSTRAINT ck_connection_reads_outcome_known CHECK (outcome IN ('ok', 'throttled', 'unreachable', 'refused')),
    CONSTRAINT fk_connection_reads_connection_id FOREIGN KEY(connection_id) REFERENCES dct.connections (id) ON DELETE CASCADE
);

CREATE INDEX ix_connection_reads_hour ON dct.connection_reads (hour);

COMMENT ON TABLE dct.connection_reads IS 'How many reads of a connection ended how in an hour of UTC; counted with its health.';

CREATE SCHEMA IF NOT EXISTS metrics;
COMMENT ON SCHEMA metrics IS 'What is measured, by hour and by day: docs/reference/metrics.md.';

CREATE TABLE metrics.business_metrics (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    dimension TEXT NOT NULL,
    value TEXT NOT NULL,
    tickets_moved BIGINT NOT NULL,
    deployments BIGINT NOT NULL,
    failed_deployments BIGINT NOT NULL,
    change_failure_percent DOUBLE PRECISION,
    ready_p50_seconds DOUBLE PRECISION,
    lead_time_p50_seconds DOUBLE PRECISION,
    restores BIGINT NOT NULL,
    restore_mean_seconds DOUBLE PRECISION,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_business_metrics PRIMARY KEY (grain, bucket, dimension, value),
    CONSTRAINT ck_business_metrics_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.business_metrics IS 'Tickets moved and deployments: how many, how long after the change, how many failed, how soon mended.';

COMMENT ON COLUMN metrics.business_metrics.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.business_metrics.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.business_metrics.dimension IS 'what rows are told apart by: all, trigger_type or environment';
COMMENT ON COLUMN metrics.business_metrics.value IS 'which one of it';
COMMENT ON COLUMN metrics.business_metrics.tickets_moved IS 'tickets that executions brought to another status; 0 by environment (tickets)';
COMMENT ON COLUMN metrics.business_metrics.deployments IS 'that ended in the bucket, well or not (deployment frequency) (deployments)';
COMMENT ON COLUMN metrics.business_metrics.failed_deployments IS 'of them failed (deployments)';
COMMENT ON COLUMN metrics.business_metrics.change_failure_percent IS 'failed, of the deployments (%)';
COMMENT ON COLUMN metrics.business_metrics.ready_p50_seconds IS 'from the change that fired to the end of a good deployment; the middle (s)';
COMMENT ON COLUMN metrics.business_metrics.lead_time_p50_seconds IS 'from the first event since the subject''s last good deployment there (s)';
COMMENT ON COLUMN metrics.business_metrics.restores IS 'good deployments to an environment whose last one had failed (deployments)';
COMMENT ON COLUMN metrics.business_metrics.restore_mean_seconds IS 'from the first of those failures to the restore; mean (s)';

CREATE TABLE metrics.capacity_plan (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    resource TEXT NOT NULL,
    most BIGINT NOT NULL,
    days BIGINT NOT NULL,
    trend_per_day DOUBLE PRECISION,
    forecast DOUBLE PRECISION,
    quota BIGINT,
    quota_reached_at TIMESTAMP WITH TIME ZONE,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_capacity_plan PRIMARY KEY (grain, bucket, resource),
    CONSTRAINT ck_capacity_plan_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.capacity_plan IS 'The straight line through the most in use on each of the last 28 days, and where it leads.';

COMMENT ON COLUMN metrics.capacity_plan.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.capacity_plan.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.capacity_plan.resource IS 'executions, agents or workspaces';
COMMENT ON COLUMN metrics.capacity_plan.most IS 'in use at the same time at most on this day (in use)';
COMMENT ON COLUMN metrics.capacity_plan.days IS 'with figures, of the 28 up to this one (days)';
COMMENT ON COLUMN metrics.capacity_plan.trend_per_day IS 'by how much the most grows each day; NULL with less than two days (in use/day)';
COMMENT ON COLUMN metrics.capacity_plan.forecast IS 'the most in 30 days, if that goes on (in use)';
COMMENT ON COLUMN metrics.capacity_plan.quota IS 'the quota in force when its use was computed (in use)';
COMMENT ON COLUMN metrics.capacity_plan.quota_reached_at IS 'the day on which the line reaches the quota; NULL when it never does';

CREATE TABLE metrics.execution_metrics (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    dimension TEXT NOT NULL,
    value TEXT NOT NULL,
    executions BIGINT NOT NULL,
    completed BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    cancelled BIGINT NOT NULL,
    success_percent DOUBLE PRECISION,
    retried BIGINT NOT NULL,
    mean_seconds DOUBLE PRECISION,
    p50_seconds DOUBLE PRECISION,
    p95_seconds DOUBLE PRECISION,
    p99_seconds DOUBLE PRECISION,
    skewed BIGINT NOT NULL,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_execution_metrics PRIMARY KEY (grain, bucket, dimension, value),
    CONSTRAINT ck_execution_metrics_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.execution_metrics IS 'Executions that ended: how many, how, and how long they took from their first start to their end.';

COMMENT ON COLUMN metrics.execution_metrics.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.execution_metrics.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.execution_metrics.dimension IS 'what rows are told apart by: all, trigger, trigger_type, provider, owner or action';
COMMENT ON COLUMN metrics.execution_metrics.value IS 'which one of it: a trigger''s name, a kind of connection, a type of action, ...';
COMMENT ON COLUMN metrics.execution_metrics.executions IS 'ended in the bucket; of a dimension `action`: actions of those (executions)';
COMMENT ON COLUMN metrics.execution_metrics.completed IS 'of them completed; of actions those with an outcome (executions)';
COMMENT ON COLUMN metrics.execution_metrics.failed IS 'of them failed; of actions also those whose effect is uncertain (executions)';
COMMENT ON COLUMN metrics.execution_metrics.cancelled IS 'of them cancelled; of actions those cut off by that (executions)';
COMMENT ON COLUMN metrics.execution_metrics.success_percent IS 'completed, of those that completed or failed (%)';
COMMENT ON COLUMN metrics.execution_metrics.retried IS 'of them took more than one attempt (executions)';
COMMENT ON COLUMN metrics.execution_metrics.mean_seconds IS 'mean time from the first start to the end (s)';
COMMENT ON COLUMN metrics.execution_metrics.p50_seconds IS 'half of them took no longer (s)';
COMMENT ON COLUMN metrics.execution_metrics.p95_seconds IS '95 of 100 took no longer (s)';
COMMENT ON COLUMN metrics.execution_metrics.p99_seconds IS '99 of 100 took no longer (s)';
COMMENT ON COLUMN metrics.execution_metrics.skewed IS 'of them ended before they began, by the clocks; they count as 0 s (executions)';

CREATE TABLE metrics.failure_analysis (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    trigger TEXT NOT NULL,
    action TEXT NOT NULL,
    cluster TEXT NOT NULL,
    pattern TEXT NOT NULL,
    failures BIGINT NOT NULL,
    sample TEXT NOT NULL,
    sample_execution TEXT NOT NULL,
    first_seen_at TIMESTAMP WITH TIME ZONE,
    last_seen_at TIMESTAMP WITH TIME ZONE,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_failure_analysis PRIMARY KEY (grain, bucket, trigger, action, cluster),
    CONSTRAINT ck_failure_analysis_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.failure_analysis IS 'Clusters of like failures: executions that ended failed in the bucket, by trigger, action and message.';

COMMENT ON COLUMN metrics.failure_analysis.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.failure_analysis.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.failure_analysis.trigger IS 'the trigger''s name';
COMMENT ON COLUMN metrics.failure_analysis.action IS 'the type of the action that failed; `(none)` when it failed outside of one';
COMMENT ON COLUMN metrics.failure_analysis.cluster IS 'stands for the pattern';
COMMENT ON COLUMN metrics.failure_analysis.pattern IS 'the message''s first line, with … for what changes';
COMMENT ON COLUMN metrics.failure_analysis.failures IS 'executions (executions)';
COMMENT ON COLUMN metrics.failure_analysis.sample IS 'the message of the last of them';
COMMENT ON COLUMN metrics.failure_analysis.sample_execution IS 'the id of that execution';
COMMENT ON COLUMN metrics.failure_analysis.first_seen_at IS 'when the first of them ended within the bucket';
COMMENT ON COLUMN metrics.failure_analysis.last_seen_at IS 'when the last of them ended';

CREATE TABLE metrics.integration_health (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    connection TEXT NOT NULL,
    provider TEXT NOT NULL,
    reads BIGINT NOT NULL,
    ok BIGINT NOT NULL,
    throttled BIGINT NOT NULL,
    unreachable BIGINT NOT NULL,
    refused BIGINT NOT NULL,
    failure_percent DOUBLE PRECISION,
    longest_gap_seconds DOUBLE PRECISION,
    events BIGINT NOT NULL,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_integration_health PRIMARY KEY (grain, bucket, connection),
    CONSTRAINT ck_integration_health_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.integration_health IS 'How connections answered when they were read, how far apart the good reads were, and what they brought.';

COMMENT ON COLUMN metrics.integration_health.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.integration_health.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.integration_health.connection IS 'the connection''s name';
COMMENT ON COLUMN metrics.integration_health.provider IS 'its kind';
COMMENT ON COLUMN metrics.integration_health.reads IS 'polls of it that ended in the bucket, well or not (reads)';
COMMENT ON COLUMN metrics.integration_health.ok IS 'of them answered (reads)';
COMMENT ON COLUMN metrics.integration_health.throttled IS 'of them told to wait (reads)';
COMMENT ON COLUMN metrics.integration_health.unreachable IS 'of them not answered, or not in a way that can be understood (reads)';
COMMENT ON COLUMN metrics.integration_health.refused IS 'of them refused: the credential or the address (reads)';
COMMENT ON COLUMN metrics.integration_health.failure_percent IS 'unreachable or refused, of the reads that were not throttled (%)';
COMMENT ON COLUMN metrics.integration_health.longest_gap_seconds IS 'longest time between a good read that ended here and the one before (s)';
COMMENT ON COLUMN metrics.integration_health.events IS 'taken in from it, by poll or webhook (events)';

CREATE TABLE metrics.queue_metrics (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    reason TEXT NOT NULL,
    waits BIGINT NOT NULL,
    mean_seconds DOUBLE PRECISION,
    p50_seconds DOUBLE PRECISION,
    p95_seconds DOUBLE PRECISION,
    longest_seconds DOUBLE PRECISION,
    aged BIGINT NOT NULL,
    skewed BIGINT NOT NULL,
    depth_most BIGINT,
    depth_at_end BIGINT,
    depth_average DOUBLE PRECISION,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_queue_metrics PRIMARY KEY (grain, bucket, reason),
    CONSTRAINT ck_queue_metrics_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.queue_metrics IS 'Executions that waited for their first start: how many at once, for how long, and what for.';

COMMENT ON COLUMN metrics.queue_metrics.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.queue_metrics.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.queue_metrics.reason IS 'the last wait reason before the first dispatch; `all` together, `(none)` for none';
COMMENT ON COLUMN metrics.queue_metrics.waits IS 'that ended in the bucket: dispatched, started by hand, or cancelled (executions)';
COMMENT ON COLUMN metrics.queue_metrics.mean_seconds IS 'mean wait of those (s)';
COMMENT ON COLUMN metrics.queue_metrics.p50_seconds IS 'half of them waited no longer (s)';
COMMENT ON COLUMN metrics.queue_metrics.p95_seconds IS '95 of 100 waited no longer (s)';
COMMENT ON COLUMN metrics.queue_metrics.longest_seconds IS 'the longest wait of those (s)';
COMMENT ON COLUMN metrics.queue_metrics.aged IS 'of them waited long enough to gain a step of priority (executions)';
COMMENT ON COLUMN metrics.queue_metrics.skewed IS 'of them ended before they began, by the clocks; they count as 0 s (executions)';
COMMENT ON COLUMN metrics.queue_metrics.depth_most IS 'that waited at the same time at most; of `all` only (executions)';
COMMENT ON COLUMN metrics.queue_metrics.depth_at_end IS 'that waited when the bucket ended; of `all` only (executions)';
COMMENT ON COLUMN metrics.queue_metrics.depth_average IS 'that waited on average; of `all` only (executions)';

CREATE TABLE metrics.resource_utilization (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    resource TEXT NOT NULL,
    most BIGINT NOT NULL,
    at_end BIGINT NOT NULL,
    average DOUBLE PRECISION,
    quota BIGINT,
    utilization_percent DOUBLE PRECISION,
    average_percent DOUBLE PRECISION,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_resource_utilization PRIMARY KEY (grain, bucket, resource),
    CONSTRAINT ck_resource_utilization_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.resource_utilization IS 'What was in use of each quota: executions at work, agents that they take, and live workspaces.';

COMMENT ON COLUMN metrics.resource_utilization.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.resource_utilization.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.resource_utilization.resource IS 'executions, agents or workspaces';
COMMENT ON COLUMN metrics.resource_utilization.most IS 'in use at the same time at most (in use)';
COMMENT ON COLUMN metrics.resource_utilization.at_end IS 'in use when the bucket ended (in use)';
COMMENT ON COLUMN metrics.resource_utilization.average IS 'in use on average over the bucket (in use)';
COMMENT ON COLUMN metrics.resource_utilization.quota IS 'the quota in force when this was computed; NULL when quotas are off (in use)';
COMMENT ON COLUMN metrics.resource_utilization.utilization_percent IS 'the most, of the quota (%)';
COMMENT ON COLUMN metrics.resource_utilization.average_percent IS 'the average, of the quota (%)';

CREATE TABLE metrics.response_times (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    trigger_type TEXT NOT NULL,
    leg TEXT NOT NULL,
    executions BIGINT NOT NULL,
    mean_seconds DOUBLE PRECISION,
    p50_seconds DOUBLE PRECISION,
    p95_seconds DOUBLE PRECISION,
    skewed BIGINT NOT NULL,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_response_times PRIMARY KEY (grain, bucket, trigger_type, leg),
    CONSTRAINT ck_response_times_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.response_times IS 'How long executions that ended in the bucket took on each leg of the way from the change to the end.';

COMMENT ON COLUMN metrics.response_times.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.response_times.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.response_times.trigger_type IS 'the type of their triggers; `all` together';
COMMENT ON COLUMN metrics.response_times.leg IS 'change_to_seen, seen_to_decided, decided_to_dispatched, dispatched_to_started, started_to_finished, change_to_finished';
COMMENT ON COLUMN metrics.response_times.executions IS 'of which both ends of the leg are known (executions)';
COMMENT ON COLUMN metrics.response_times.mean_seconds IS 'mean (s)';
COMMENT ON COLUMN metrics.response_times.p50_seconds IS 'half of them took no longer (s)';
COMMENT ON COLUMN metrics.response_times.p95_seconds IS '95 of 100 took no longer (s)';
COMMENT ON COLUMN metrics.response_times.skewed IS 'of them negative, by the clocks; they count as 0 s (executions)';

CREATE TABLE metrics.slow_triggers (
    grain TEXT NOT NULL,
    bucket TIMESTAMP WITH TIME ZONE NOT NULL,
    trigger TEXT NOT NULL,
    place BIGINT NOT NULL,
    executions BIGINT NOT NULL,
    mean_seconds DOUBLE PRECISION,
    p50_seconds DOUBLE PRECISION,
    p95_seconds DOUBLE PRECISION,
    usual_p95_seconds DOUBLE PRECISION,
    times_usual DOUBLE PRECISION,
    slowest_action TEXT,
    slowest_action_percent DOUBLE PRECISION,
    computed_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_slow_triggers PRIMARY KEY (grain, bucket, trigger),
    CONSTRAINT ck_slow_triggers_grain_known CHECK (grain IN ('hour', 'day'))
);

COMMENT ON TABLE metrics.slow_triggers IS 'The 20 slowest triggers of a day by their 95th percentile, against the 14 days before.';

COMMENT ON COLUMN metrics.slow_triggers.grain IS 'how long the bucket is: hour or day';
COMMENT ON COLUMN metrics.slow_triggers.bucket IS 'when the bucket begins, of UTC';
COMMENT ON COLUMN metrics.slow_triggers.trigger IS 'the trigger''s name';
COMMENT ON COLUMN metrics.slow_triggers.place IS '1 is the slowest (place)';
COMMENT ON COLUMN metrics.slow_triggers.executions IS 'that ended on the day (executions)';
COMMENT ON COLUMN metrics.slow_triggers.mean_seconds IS 'mean time from the first start to the end (s)';
COMMENT ON COLUMN metrics.slow_triggers.p50_seconds IS 'half of them took no longer (s)';
COMMENT ON COLUMN metrics.slow_triggers.p95_seconds IS '95 of 100 took no longer (s)';
COMMENT ON COLUMN metrics.slow_triggers.usual_p95_seconds IS 'the mean of that of the 14 days before, where there were any (s)';
COMMENT ON COLUMN metrics.slow_triggers.times_usual IS 'how many times that (times)';
COMMENT ON COLUMN metrics.slow_triggers.slowest_action IS 'the type of action that took most of the time';
COMMENT ON COLUMN metrics.slow_triggers.slowest_action_percent IS 'its share of the time of all actions (%)';
