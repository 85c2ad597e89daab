"""Video files in and out: what they hold, decoding, encoding."""
