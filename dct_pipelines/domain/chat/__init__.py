"""Chats: what is asked of them, and how channels and threads become events. Pure."""
