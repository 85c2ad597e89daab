"""What will be made of a video, in exact arithmetic: its time line, its new frames, its chunks. No I/O."""
