CREATE TABLE dct.telemetry_cursors (
    name TEXT NOT NULL,
    through TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_telemetry_cursors PRIMARY KEY (name)
);

COMMENT ON TABLE dct.telemetry_cursors IS 'Up to which moment the endings of executions were counted (metrics) and sent (traces).';

CREATE TABLE dct.telemetry_totals (
    measure TEXT NOT NULL,
    label TEXT NOT NULL,
    bound DOUBLE PRECISION DEFAULT 0 NOT NULL,
    value DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_telemetry_totals PRIMARY KEY (measure, label, bound)
);

COMMENT ON TABLE dct.telemetry_totals IS 'Totals for Prometheus since they were first asked for; retention does not make them fall.';
