"""Mitigations at sampling time: they change no weights and run on any fine-tuned model."""
