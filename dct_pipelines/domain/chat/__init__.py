"""Chats: what is asked of them, and how channels and threads become events. Pure.

Belongs here: messages, their texts and times, what differs between two reads, and in which steps a channel is
read. Does not belong here: how a provider is called (clients), and what a connection is configured with
(listeners).
"""
