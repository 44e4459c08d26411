"""Which model answers: cascades, fitted routers, and what choosing was worth."""
