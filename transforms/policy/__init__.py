"""The policy file: thresholds, silences, mutes, routes and channels."""
