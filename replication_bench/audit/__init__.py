"""Auditing images that are there already: sources, the saved index, and the order of an audit's steps."""
