"""The invented mall: seed data that goes through the domain services."""
