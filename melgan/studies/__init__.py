"""The statistics of a study: several arms, each trained several times, compared with a baseline on the same images.

`arms` tells what is compared; `resampling` draws patients and runs; `areas` evaluates scores under all draws at once;
`differences` gives intervals, one by one and of the whole family, where they come from, and a verdict; `power` tells
what a design can see, and `choosing` what the best of several arms is worth.
"""
