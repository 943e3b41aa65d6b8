"""The built-in instruments, one folder each; they come in by the same entry points as third parties."""
