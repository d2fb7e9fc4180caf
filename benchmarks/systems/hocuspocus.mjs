// A Hocuspocus server with its SQLite extension, as its documentation shows it; PORT and BENCH_DATABASE are set.
import { Server } from '@hocuspocus/server'
import { SQLite } from '@hocuspocus/extension-sqlite'

const server = new Server({
  address: '127.0.0.1',
  port: Number(process.env.PORT),
  quiet: true,
  extensions: [new SQLite({ database: process.env.BENCH_DATABASE })],
})
server.listen()
