"""Faults put to the commands, and how many of them hold: kills, bad inputs, damaged folders, limits of the machine."""
