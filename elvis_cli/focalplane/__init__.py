"""Where the light lands: one renderer per kind of mode."""
