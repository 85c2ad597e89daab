"""What the numbers in docs/ come from."""
