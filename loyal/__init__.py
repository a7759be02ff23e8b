"""LoyalDiffusion (arXiv 2412.01118): RAU-Net and timestep routing."""
