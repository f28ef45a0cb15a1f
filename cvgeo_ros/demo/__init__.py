"""The demo: the real graph of nodes on a scene, an operator who clicks, and a bag of all that was said."""
