"""Speed and memory against stated rivals: `python -m benchmarks` measures and writes docs/benchmarks.md."""
