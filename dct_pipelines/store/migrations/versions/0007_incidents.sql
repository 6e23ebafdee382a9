CREATE TABLE dct.incidents (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL,
    state TEXT NOT NULL,
    group_name TEXT DEFAULT '' NOT NULL,
    text TEXT NOT NULL,
    figures JSONB DEFAULT '{}'::jsonb NOT NULL,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    well_since TIMESTAMP WITH TIME ZONE,
    opened_at TIMESTAMP WITH TIME ZONE,
    acknowledged_at TIMESTAMP WITH TIME ZONE,
    acknowledged_by TEXT,
    resolved_at TIMESTAMP WITH TIME ZONE,
    resolved_by TEXT,
    CONSTRAINT pk_incidents PRIMARY KEY (id),
    CONSTRAINT ck_incidents_rule_known CHECK (rule IN ('failure_rate', 'wait', 'utilization', 'connection', 'timeout', 'listener', 'metrics')),
    CONSTRAINT ck_incidents_state_known CHECK (state IN ('suspected', 'open', 'acknowledged', 'resolved'))
);
COMMENT ON TABLE dct.incidents IS 'What is, or was, out of order; one live row for each rule and subject.';
CREATE UNIQUE INDEX uq_incidents_live ON dct.incidents (rule, subject) WHERE state <> 'resolved';
CREATE INDEX ix_incidents_opened_at ON dct.incidents (opened_at DESC);
CREATE INDEX ix_incidents_resolved_at ON dct.incidents (resolved_at DESC) WHERE state = 'resolved';

CREATE TABLE dct.alert_messages (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    kind TEXT NOT NULL,
    destination TEXT NOT NULL,
    incident_ids UUID[] DEFAULT '{}' NOT NULL,
    message JSONB DEFAULT '{}'::jsonb NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts INTEGER DEFAULT 0 NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE,
    sent_at TIMESTAMP WITH TIME ZONE,
    dropped_at TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    CONSTRAINT pk_alert_messages PRIMARY KEY (id),
    CONSTRAINT ck_alert_messages_kind_known CHECK (kind IN ('incidents_opened', 'incidents_resolved', 'test'))
);
COMMENT ON TABLE dct.alert_messages IS 'Written with the incident that it tells of; sent afterwards, again until it arrives.';
CREATE INDEX ix_alert_messages_next_attempt_at ON dct.alert_messages (next_attempt_at) WHERE sent_at IS NULL AND dropped_at IS NULL;
CREATE INDEX ix_alert_messages_created_at ON dct.alert_messages (created_at DESC);
