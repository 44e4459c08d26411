"""The runner: journal, resume, allocation, batches, sealing."""
