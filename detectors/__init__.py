"""Online models of single devices: pure numpy and numba, no Beam, no cloud."""
