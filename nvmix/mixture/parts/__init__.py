"""The parts of a mixture before there is a model: normal maps, moments of Y, chosen columns."""
