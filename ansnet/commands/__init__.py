"""``python -m ansnet COMMAND``, one file a command."""
