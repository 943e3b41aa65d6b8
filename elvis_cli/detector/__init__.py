"""From expected electrons to ADU: the ordered chain of detector stages."""
