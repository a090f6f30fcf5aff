"""The data directory and its lock: what makes a folder one, which processes may read it, and which one process may write it.

`data_directory` knows the parts and their names; `lock` says which process holds the directory, and how a writer gets it from readers.
"""
