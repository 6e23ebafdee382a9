CREATE TABLE dct.connection_cursors (
    connection_id UUID NOT NULL,
    token JSONB DEFAULT '{}'::jsonb NOT NULL,
    polled_at TIMESTAMP WITH TIME ZONE,
    read_ok_at TIMESTAMP WITH TIME ZONE,
    detail TEXT,
    CONSTRAINT pk_connection_cursors PRIMARY KEY (connection_id),
    CONSTRAINT fk_connection_cursors_connection_id FOREIGN KEY(connection_id) REFERENCES dct.connections (id) ON DELETE CASCADE
);

COMMENT ON TABLE dct.connection_cursors IS 'Cursors of connections whose items are all read by one question.';

CREATE TABLE dct.call_budgets (
    account TEXT NOT NULL,
    bucket TEXT NOT NULL,
    minute TIMESTAMP WITH TIME ZONE NOT NULL,
    calls INTEGER DEFAULT 0 NOT NULL,
    calls_before INTEGER DEFAULT 0 NOT NULL,
    limit_per_minute INTEGER,
    remaining INTEGER,
    resets_at TIMESTAMP WITH TIME ZONE,
    not_before TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_call_budgets PRIMARY KEY (account, bucket)
);

COMMENT ON TABLE dct.call_budgets IS 'Calls of one credential in this minute and the one before, and what the provider said is left.';

CREATE TABLE dct.dead_letters (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    connection_id UUID NOT NULL,
    item_id UUID,
    key TEXT NOT NULL,
    raw TEXT NOT NULL,
    why TEXT NOT NULL,
    count INTEGER DEFAULT 1 NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    last_received_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT pk_dead_letters PRIMARY KEY (id),
    CONSTRAINT uq_dead_letters_connection_id_key UNIQUE (connection_id, key),
    CONSTRAINT fk_dead_letters_connection_id FOREIGN KEY(connection_id) REFERENCES dct.connections (id) ON DELETE CASCADE,
    CONSTRAINT fk_dead_letters_item_id FOREIGN KEY(item_id) REFERENCES dct.context_library (id) ON DELETE CASCADE
);

CREATE INDEX ix_dead_letters_item_id ON dct.dead_letters (item_id);

COMMENT ON TABLE dct.dead_letters IS 'What providers sent and nobody could understand, as it came.';
