"""The whole stack, from a push to a finished execution."""
