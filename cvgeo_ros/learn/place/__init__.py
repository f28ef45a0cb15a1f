"""Place models: rendered sets, preparation of captions, training, evaluation."""
