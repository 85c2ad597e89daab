"""What travels: frames and the times wanted between them to an interpolator, and new frames back."""
