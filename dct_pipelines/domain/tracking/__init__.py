"""Ticket trackers: what is asked of them, and how what they answer becomes events. Pure."""
