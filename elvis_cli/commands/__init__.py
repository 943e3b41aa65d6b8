"""The command line: one module per command or family of commands, each with ``register(app)``.

A command reads its options, calls the package that does the work and prints the result.
"""
