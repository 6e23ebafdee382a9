"""Definitions, jobs and sensors on a real Dagster instance."""
