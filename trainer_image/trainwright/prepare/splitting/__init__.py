"""Training, validation and test: groups are assigned, links from training to evaluation rows are cut, and checked."""
