"""Jishi beside hand-written routes and other GraphQL servers: see docs/performance.md."""
