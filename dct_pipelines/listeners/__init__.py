"""One file a provider: turns what its client reports into events, and items into snapshots.

Belongs here: a module with one constant `LISTENER`; its file name is its `kind`.
Does not belong here: HTTP, git or IMAP calls (a port in domain, a client in clients), cursors and storage
(engine), scheduling (sensors), or a second provider.
"""
