"""Mitigations that change captions, prompts or text states. Equations and sources: docs/methods/text.md."""
