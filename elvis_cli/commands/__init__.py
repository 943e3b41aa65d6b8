"""What the larger commands do; `elvis_cli.cli` reads their options and prints what they return."""
