"""What the commands do on AWS: one pinned session, and a small class for each service."""
