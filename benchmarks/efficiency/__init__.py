"""The parts of ``benchmarks/label_efficiency.py``."""
