-- Events and decisions by month (decision 0018). What is there is not copied: each table becomes the first
-- partition, `_before`, of a new one, up to the first month in which nothing of it lies. What takes time are
-- its new indexes, some seconds for each million rows.

SET LOCAL timezone = 'UTC';

ALTER TABLE dct.trigger_executions DROP CONSTRAINT fk_trigger_executions_event_id;
ALTER TABLE dct.decisions
    DROP CONSTRAINT fk_decisions_event_id,
    DROP CONSTRAINT fk_decisions_trigger_id,
    DROP CONSTRAINT pk_decisions;
ALTER TABLE dct.events
    DROP CONSTRAINT fk_events_connection_id,
    DROP CONSTRAINT fk_events_item_id,
    DROP CONSTRAINT uq_events_connection_id_dedup_key,
    DROP CONSTRAINT uq_events_seq,
    DROP CONSTRAINT pk_events;
DROP INDEX dct.ix_events_connection_id;

ALTER TABLE dct.events RENAME TO events_before;
ALTER INDEX dct.ix_events_item_id_seq RENAME TO ix_events_before_item_id_seq;
ALTER INDEX dct.ix_events_kind_seq RENAME TO ix_events_before_kind_seq;
ALTER INDEX dct.ix_events_item_id_subject_seq RENAME TO ix_events_before_item_id_subject_seq;
ALTER INDEX dct.ix_events_occurred_at RENAME TO ix_events_before_occurred_at;
ALTER TABLE dct.decisions RENAME TO decisions_before;
ALTER INDEX dct.ix_decisions_trigger_id_decided_at RENAME TO ix_decisions_before_trigger_id_decided_at;
ALTER INDEX dct.ix_decisions_execution_id RENAME TO ix_decisions_before_execution_id;

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
    CONSTRAINT pk_events PRIMARY KEY (id, observed_at)
) PARTITION BY RANGE (observed_at);
CREATE INDEX ix_events_seq ON dct.events (seq);
CREATE INDEX ix_events_item_id_seq ON dct.events (item_id, seq);
CREATE INDEX ix_events_kind_seq ON dct.events (kind, seq);
CREATE INDEX ix_events_item_id_subject_seq ON dct.events (item_id, subject, seq);
CREATE INDEX ix_events_occurred_at ON dct.events (occurred_at DESC);
CREATE INDEX ix_events_observed_at ON dct.events USING brin (observed_at);

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
    CONSTRAINT pk_decisions PRIMARY KEY (event_id, trigger_id, decided_at),
    CONSTRAINT ck_decisions_outcome_known CHECK (outcome IN ('fired', 'held', 'deduplicated', 'ignored', 'not_matched'))
) PARTITION BY RANGE (decided_at);
CREATE INDEX ix_decisions_trigger_id_decided_at ON dct.decisions (trigger_id, decided_at DESC);
CREATE INDEX ix_decisions_execution_id ON dct.decisions (execution_id);

DO $$
DECLARE
    one RECORD;
    begins TIMESTAMP WITH TIME ZONE;
    newest TIMESTAMP WITH TIME ZONE;
    this CONSTANT TIMESTAMP WITH TIME ZONE := date_trunc('month', now());
BEGIN
    FOR one IN SELECT * FROM (VALUES ('events', 'observed_at'), ('decisions', 'decided_at')) AS v (name, moment)
    LOOP
        EXECUTE format('SELECT max(%I) FROM dct.%I', one.moment, one.name || '_before') INTO newest;
        begins := this;
        IF newest IS NULL THEN
            EXECUTE format('DROP TABLE dct.%I', one.name || '_before');
        ELSE
            begins := greatest(this, date_trunc('month', newest)) + interval '1 month';
            EXECUTE format(
                'ALTER TABLE dct.%I ATTACH PARTITION dct.%I FOR VALUES FROM (MINVALUE) TO (%L)',
                one.name, one.name || '_before', begins
            );
        END IF;
        WHILE begins <= this + interval '3 months' LOOP
            EXECUTE format(
                'CREATE TABLE dct.%I PARTITION OF dct.%I FOR VALUES FROM (%L) TO (%L)',
                one.name || to_char(begins, '_YYYY_MM'), one.name, begins, begins + interval '1 month'
            );
            begins := begins + interval '1 month';
        END LOOP;
        EXECUTE format('CREATE TABLE dct.%I PARTITION OF dct.%I DEFAULT', one.name || '_default', one.name);
    END LOOP;
END $$;

CREATE INDEX ix_snapshots_to_seq ON dct.snapshots (to_seq) WHERE to_seq IS NOT NULL;
CREATE INDEX ix_own_writes_created_at ON dct.own_writes (created_at);
ALTER TABLE dct.workspaces ADD COLUMN notified_at TIMESTAMP WITH TIME ZONE;
