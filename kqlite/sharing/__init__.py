"""One data directory, several processes.

DuckDB lets one process have a database open for writing, and then no other, not even to read. So the process that holds a data directory
alone answers the others, over a socket that only its owner can open: `server.py`. Elsewhere `whereabouts.py` opens the store itself while
nobody holds the directory, asks the holder through `client.py` while somebody does, and goes from one to the other as holders come and go;
a connection gives the same answers and errors either way. `wire.py` is what both sides say to each other.

An answer is made whole and its snapshot let go before the first byte is sent: a client that reads slowly, or never, costs memory within a
bound and pins nothing.

Readers that opened the store themselves share the lock until a writer wants it (`lock.py`), and let go between two queries. The other way,
to hold the lock for a query only, was measured: opening again takes 18 ms over 100,000 machines and 50 ms over a million, and the blocks
that DuckDB has in memory are lost each time; and a reader that asks without a pause would still keep a writer out.

On Windows Arrow Flight has no Unix domain sockets: there a second process is told that the directory is in use.
"""
