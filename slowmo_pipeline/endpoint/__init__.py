"""How a run meets an endpoint: finding it, sending it chunks, what the storage tells of it, and what it costs."""
