"""Generators that are trained on one single image: SinGAN. Shaham et al. 2019. https://arxiv.org/abs/1905.01164."""
