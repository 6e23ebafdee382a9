"""Mail: reading messages that anybody may have written, whom to trust, and how they become events. Pure."""
