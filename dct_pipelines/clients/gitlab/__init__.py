"""GitLab by its REST API v4: what the listener reads, what actions do, and the check of a connection.

Belongs here: calls, and the translation of GitLab's answers and refusals into our words.
Does not belong here: what becomes an event (domain/hosting), and when something is read (engine).
Source: https://docs.gitlab.com/api/rest/
"""
