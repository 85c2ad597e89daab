"""Where everything lives: objects below one root, in a folder or in a bucket of S3."""
