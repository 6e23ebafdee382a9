"""The outside world: one module a system, each behind a port of the domain.

Belongs here: git, HTTP, SMTP, processes; timeouts, limits, and the one place that calls an error permanent or
transient.
Does not belong here: decisions about triggers, tables, or Dagster. Concrete clients are named in
bootstrap only.
"""
