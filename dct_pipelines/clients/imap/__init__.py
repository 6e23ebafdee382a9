"""Mailboxes over IMAP: the session and its guard, folders by cursors, and the text that a reader would see.

Nothing in a mailbox is changed: folders are only examined, bodies only peeked at.
"""

from dct_pipelines.clients.imap.client import ImapClient

__all__ = ["ImapClient"]
