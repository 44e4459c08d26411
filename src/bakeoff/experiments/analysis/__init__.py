"""From scores to an answer: cubes, comparisons, families, verdicts and their words."""
