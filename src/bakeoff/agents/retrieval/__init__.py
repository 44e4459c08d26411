"""Retrieval: documents, passages, vectors and where they lie, search."""
