"""``snnface explore``: a family of networks around a recipe, trained, priced on a chip, and drawn with its front."""
