"""The statistics of a study: several arms, each trained several times, compared with a baseline on the same images.

`resampling` draws patients and runs; `areas` evaluates scores under all draws at once; `differences` gives intervals,
one by one and of the whole family, and a verdict; `variance`, `power` and `choosing` tell where the uncertainty comes
from, what a design can see, and what the best of several arms is worth.
"""
