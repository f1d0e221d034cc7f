"""Between the socket and the resolver: protocols, limits, health, the playground."""
