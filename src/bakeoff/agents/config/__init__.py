"""The `agent` section: its form, factors that reach into it, and an agent that is ready to run."""
