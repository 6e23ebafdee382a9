CREATE TABLE dct.credential_ends (
    connection_id UUID NOT NULL,
    credential_ref TEXT NOT NULL,
    ends_at TIMESTAMP WITH TIME ZONE,
    asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    warned_of TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_credential_ends PRIMARY KEY (connection_id),
    CONSTRAINT fk_credential_ends_connection_id FOREIGN KEY(connection_id) REFERENCES dct.connections (id) ON DELETE CASCADE
);

COMMENT ON TABLE dct.credential_ends IS 'When the credential of a connection ends, as its provider said; where it says so at all.';
