"""Import of promptfoo files."""
