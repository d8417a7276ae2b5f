"""netx files, as lava-dl's ``netx`` runs them, and the manifest beside each."""
