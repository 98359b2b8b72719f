"""Questions with numbers for answers: one folder a question, each prints a table and writes ``results/NAME.json``."""
