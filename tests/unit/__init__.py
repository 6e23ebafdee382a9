"""Rules and services on fakes: no network, no database, no processes."""
