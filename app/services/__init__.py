"""Reads and transactions, one module per word."""
