"""What an agent remembers from turn to turn, and what it drops."""
