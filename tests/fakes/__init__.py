"""Stateful fakes of the domain's ports. Each passes the contract tests of the real thing."""
