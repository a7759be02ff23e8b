"""Mitigations from the literature, one file or package a family, behind the same entry points as anyone's package."""
