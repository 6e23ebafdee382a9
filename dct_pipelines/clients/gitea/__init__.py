"""Gitea and Forgejo by their common API v1: what the listener reads, what actions do, and the check.

Belongs here: calls, and the translation of the server's answers and refusals into our words.
Does not belong here: what becomes an event (domain/hosting), and when something is read (engine).
Source: https://docs.gitea.com/api/ and https://forgejo.org/docs/latest/user/api-usage/
"""
