"""One live room and its audience: what a message costs, how late it comes, who is slow."""
