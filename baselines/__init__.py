"""Mitigations from the literature, one file a family, behind the same entry points as anyone's package."""
