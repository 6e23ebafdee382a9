"""Measurements and the crash test: what the product promises, counted from outside."""
