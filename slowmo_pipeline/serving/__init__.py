"""What answers requests: the handler and the servers around it."""
