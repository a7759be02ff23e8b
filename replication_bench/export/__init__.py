"""A trained model as a folder that stock diffusers loads."""
