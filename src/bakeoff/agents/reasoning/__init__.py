"""Reasoning patterns: the library, what they run on, and which to try."""
