"""What was typed -> images that can be opened by id: folders, tar shards, parquet files."""
