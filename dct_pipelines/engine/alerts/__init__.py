"""Alerts: rules that are looked at each minute, incidents, their messages, and the sign of life."""
