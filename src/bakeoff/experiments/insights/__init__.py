"""Behind the verdict: effects of factors, choices, preferences, trade-offs."""
