"""How well a model does on held-out faces, how sure that is, and how to show it."""
