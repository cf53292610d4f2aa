"""The contract: Avro files, and every dialect derived from them. No Beam, no cloud."""
