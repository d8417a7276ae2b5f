"""A look at a recording: a page that plays it, a film, an animation or a picture."""
