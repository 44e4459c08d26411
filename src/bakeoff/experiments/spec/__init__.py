"""The experiment file: its models, how it is read, its variants, what is wrong with it."""
