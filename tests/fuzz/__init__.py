"""Whatever comes in, `elvis` ends as it promises: hostile requests, files, blocks and surveys, case by case.

``python -m tests.fuzz --cases 50000`` (or `make fuzz`) tries new ones and prints the figures of each reader; a case
follows from its seed, its reader and its number, so that ``--seed S --reader R --only N`` runs it again. What fails is
reduced and written to ``tests/fuzz/cases``; `test_fuzz.py` runs those, and some hundred new ones.
"""
