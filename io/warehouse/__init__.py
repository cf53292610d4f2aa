"""BigQuery: the job's tables in a warehouse."""

from eddyline.io.warehouse.write import WriteWarehouse

__all__ = ["WriteWarehouse"]
