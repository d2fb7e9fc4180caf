// Unmodified Yjs clients for the tests. Reads one JSON command per line, answers each with one JSON line.
// Run from any folder; the packages are found beside this file, where `make node` puts them.
import { createInterface } from 'node:readline'
import * as Y from 'yjs'
import WebSocket from 'ws'

const loud = []
for (const name of ['log', 'warn', 'error']) console[name] = (...args) => loud.push(args.map(String).join(' '))
process.on('uncaughtException', error => loud.push(`uncaught: ${error.stack}`))
process.on('unhandledRejection', error => loud.push(`unhandled: ${error?.stack ?? error}`))

const packages = {
  'y-websocket-3': () => import('y-websocket'),
  'y-websocket-2': () => import('y-websocket-2'),
  'hocuspocus-4': () => import('@hocuspocus/provider'),
  'hocuspocus-3': () => import('hocuspocus-provider-3'),
  'hocuspocus-2': () => import('hocuspocus-provider-2')
}
const peers = new Map()
const sockets = new Map()

async function open ({ id, client, url, name, params, token, socket, text, state, sessionAwareness }) {
  const doc = new Y.Doc()
  const content = doc.getText('content')
  if (state) Y.applyUpdate(doc, Buffer.from(state, 'base64'))
  if (text) content.insert(0, text)
  const peer = { id, doc, content, denied: [], closed: [], stateless: [], statuses: [], unsynced: [] }
  peers.set(id, peer)
  const library = await packages[client]()
  if (client.startsWith('y-websocket')) {
    peer.provider = new library.WebsocketProvider(url + '/yjs', name, doc, { WebSocketPolyfill: WebSocket, params, disableBc: true })
    peer.provider.on('connection-close', event => peer.closed.push({ code: event?.code, reason: String(event?.reason ?? '') }))
    peer.connect = () => peer.provider.connect()
    peer.disconnect = () => peer.provider.disconnect()
    peer.connected = () => peer.provider.wsconnected
  } else {
    const shared = socket ?? id
    if (!sockets.has(shared)) {
      sockets.set(shared, new library.HocuspocusProviderWebsocket({ url: url + '/hocuspocus', WebSocketPolyfill: WebSocket, minDelay: 50, delay: 50, maxDelay: 500 }))
    }
    peer.socket = sockets.get(shared)
    peer.provider = new library.HocuspocusProvider({
      websocketProvider: peer.socket,
      name,
      document: doc,
      token,
      sessionAwareness,
      onAuthenticationFailed: ({ reason }) => peer.denied.push(reason),
      onClose: ({ event }) => peer.closed.push({ code: event?.code, reason: String(event?.reason ?? '') }),
      onStateless: ({ payload }) => peer.stateless.push(payload)
    })
    if (client !== 'hocuspocus-2') peer.provider.attach()
    peer.connect = () => peer.socket.connect()
    peer.disconnect = () => peer.socket.disconnect()
    peer.connected = () => peer.socket.status === 'connected'
  }
  return {}
}

function status ({ id }) {
  const { doc, content, provider, denied, closed, stateless, connected } = peers.get(id)
  return {
    text: content.toString(),
    synced: provider.synced,
    connected: connected(),
    unsynced: provider.unsyncedChanges ?? 0,
    scope: provider.authorizedScope ?? null,
    people: [...(provider.awareness?.getStates() ?? [])].filter(([client]) => client !== doc.clientID).map(([, state]) => state),
    denied,
    closed,
    stateless,
    loud,
    pending: doc.store.pendingStructs !== null
  }
}

const commands = {
  open,
  status,
  statuses: ({ ids }) => ({ all: ids.map(id => status({ id })) }),
  insert: ({ id, at, text }) => { const { content } = peers.get(id); content.insert(at < 0 ? content.length : at, text) },
  erase: ({ id, at, length }) => { peers.get(id).content.delete(at, length) },
  replace: ({ id, text }) => { const { doc, content } = peers.get(id); doc.transact(() => { content.delete(0, content.length); content.insert(0, text) }) },
  replay: ({ id, patches }) => {
    const { content } = peers.get(id)
    for (const [position, deleted, inserted] of patches) {
      if (deleted) content.delete(position, deleted)
      if (inserted) content.insert(position, inserted)
    }
  },
  connect: ({ id }) => { peers.get(id).connect() },
  disconnect: ({ id }) => { peers.get(id).disconnect() },
  present: ({ id, state }) => { peers.get(id).provider.awareness.setLocalState(state) },
  stateless: ({ id, payload }) => { peers.get(id).provider.sendStateless(payload) },
  raw: ({ id, update }) => { peers.get(id).provider.ws.send(Buffer.from(update, 'base64')) },
  state: ({ id }) => ({ state: Buffer.from(Y.encodeStateAsUpdate(peers.get(id).doc)).toString('base64') }),
  close: ({ id }) => { const { provider } = peers.get(id); provider.destroy(); peers.delete(id) }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  let answer
  try {
    answer = { ...await commands[command.do](command) }
  } catch (error) {
    answer = { error: error.stack }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
process.exit(0)
