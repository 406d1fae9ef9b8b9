"""Programs in the einfall language, with a recipe for the inputs of each."""
