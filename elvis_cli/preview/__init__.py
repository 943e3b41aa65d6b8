"""Pictures of frames and tables, to look at: PNG with Pillow, and characters for a terminal."""
