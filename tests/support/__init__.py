"""Helpers of tests that are not fakes: real things, made quickly."""
