"""The five streams of the smart city and all that components must agree on. Standard library only."""
