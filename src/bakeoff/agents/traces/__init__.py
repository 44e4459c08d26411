"""Spans: of a stored trial, to and from OpenTelemetry, and from other frameworks."""
