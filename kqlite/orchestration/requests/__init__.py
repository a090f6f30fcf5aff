"""One module for each family of resources: validate all of a request, then decide."""
