"""The same tests on a fake and on the real thing behind a port."""
