CREATE INDEX ix_deployments_environment_ended_at ON dct.deployments (environment, ended_at);
