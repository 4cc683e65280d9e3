"""Federated training: what a device computes, how it is hidden in a sum, and what the model owner makes of the sum."""
