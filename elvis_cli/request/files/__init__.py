"""The user's own files -> the block ``elvis`` of a request."""
