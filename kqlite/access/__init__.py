"""How a connection reaches an inventory: in this process, or by asking the process that holds the data directory.

DuckDB lets one process open a database for writing; meanwhile no other process can open it, even to read. So the lock holder answers
the queries of the other processes, over a socket that only its own user can open. The answers and errors are the same either way.

| module | what it is |
|---|---|
| `local` | the protocol `Access`; `LocalAccess` queries a store of this process |
| `live` | the store that follows a running simulation, and the thread that applies its changes |
| `recovery` | the store that follows a log whose simulation has ended or was killed |
| `directory_access` | `DirectoryAccess`: opens the store while no process holds the directory, and asks the lock holder otherwise |
| `remote`, `server` | the two ends of the socket |
| `protocol` | the messages: questions as JSON, answers as Arrow with JSON beside it, errors as data |
| `sockets` | where the socket of a directory is |

The server makes an answer whole, and closes its snapshot, before it sends the first byte. So a client that reads slowly, or never, costs
a bounded amount of memory and keeps no snapshot open.

A reader process that opened the store itself shares the lock until a writer asks for it (`directory/lock.py`), and gives the store up
between two queries. The alternative, a lock for each query, was measured: to open the store again takes 18 ms over 100,000 machines and
50 ms over a million, DuckDB's cached blocks are lost each time, and a reader that queries without a pause still keeps a writer out.

On Windows Arrow Flight has no Unix domain sockets: there a second process is told that the directory is in use.
"""
