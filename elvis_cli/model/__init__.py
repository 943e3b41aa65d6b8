"""The types that travel between packages: frozen, with derived properties only, no input or output."""
