"""Tests by what they need: unit (nothing), contracts, dagster, integration, e2e, the architecture."""
