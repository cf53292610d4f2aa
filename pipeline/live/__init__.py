"""`eddyline live`: emulated streams, the job on Prism and a view of it."""
