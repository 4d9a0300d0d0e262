"""What a GPU makes of this project: measured on a machine that has one, in minutes.

    python -m benchmarks.gpu.it_runs        does everything run, and is it right?
    python -m benchmarks.gpu.how_fast       how fast, against the published step and the ceilings of the card
    python -m benchmarks.gpu.two_replicas   two replicas on one card against one

Each ends within --seconds, appends every measurement to OUT/measurements.jsonl as soon as it is known, and prints a
table last. With --tiny they run anywhere, at sizes that measure nothing.
"""
