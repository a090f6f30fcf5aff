"""Files into an inventory, and an inventory into files.

`files` is the way in. It reads chunks of documents (`file_formats`) and loads them in one of two ways:

- small files: `in_memory` sorts the rows into partitions and hands them to the store;
- large files: an external merge sort. `worker_processes` share out the lines; each process turns documents into Arrow (`sorted_runs`) and
  writes runs, sorted by subscription, group and name, to its `spill_file`; `run_merge` merges the runs of all processes into batches.

`user_tables` reads a file as a table of its own, outside the resource tables. `export` is the way out.
"""
