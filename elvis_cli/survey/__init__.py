"""A focal plane or a survey as many requests: plan, split, combine, catalogues."""
