"""What the application does, one noun per module: called by doors, calling models and vision."""
