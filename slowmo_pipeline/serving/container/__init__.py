"""What answers in a container: our own server, DJL Serving's model, and the package that both unpack."""
