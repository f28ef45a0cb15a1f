"""Learning: rendered scenes, training pairs, losses, training and evaluation. Robots never import it."""
