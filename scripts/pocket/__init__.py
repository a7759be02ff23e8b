"""How the backbone ``pocket`` is made: pictures, VAE, tokenizer and text encoder, U-Net."""
