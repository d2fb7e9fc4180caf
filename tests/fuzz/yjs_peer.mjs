// What the real Yjs makes of updates. Reads one JSON object per line, {"updates": [base64, ...], "state": base64},
// answers one per line: {"text", "pending", "state", "vector", "problems": [...]}. The folder that holds node_modules is the argument.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(process.argv[2] + '/')
const Y = require('yjs')
const bytes = (encoded) => new Uint8Array(Buffer.from(encoded, 'base64'))
const base64 = (array) => Buffer.from(array).toString('base64')

const loud = []
for (const name of ['error', 'warn']) console[name] = (...args) => loud.push(args.map(String).join(' '))

function attempt (problems, what, action) {
  try {
    return action()
  } catch (error) {
    problems.push(`${what}: ${error.stack.split('\n').slice(0, 4).join(' | ')}`)
    return null
  }
}

function made (problems, what, updates) {
  const doc = new Y.Doc()
  doc.clientID = 77
  const text = doc.getText('content')
  text.observeDeep(events => { for (const event of events) event.path })
  for (const [index, update] of updates.entries()) {
    attempt(problems, `${what} ${index}`, () => Y.applyUpdate(doc, update))
  }
  return doc
}

const textOf = (doc) => doc.getText('content').toString()

function judge (request) {
  const problems = []
  const updates = request.updates.map(bytes)
  const doc = made(problems, 'apply', updates)
  const answer = { problems }
  answer.text = attempt(problems, 'toString', () => textOf(doc))
  answer.delta = attempt(problems, 'toDelta', () => JSON.stringify(doc.getText('content').toDelta()))
  answer.pending = doc.store.pendingStructs !== null || doc.store.pendingDs !== null
  const state = attempt(problems, 'encode', () => Y.encodeStateAsUpdate(doc))
  if (state !== null) {
    answer.state = base64(state)
    answer.again = textOf(made(problems, 'round trip', [state]))
  }
  const second = attempt(problems, 'encode V2', () => Y.encodeStateAsUpdateV2(doc))
  if (second !== null) {
    attempt(problems, 'apply V2', () => {
      const copy = new Y.Doc()
      Y.applyUpdateV2(copy, second)
      answer.second = textOf(copy)
    })
  }
  attempt(problems, 'vector', () => { answer.vector = [...Y.decodeStateVector(Y.encodeStateVector(doc))] })
  const merged = attempt(problems, 'merge', () => Y.mergeUpdates(updates))
  if (merged !== null && updates.length > 0) answer.merged = textOf(made(problems, 'merged', [merged]))
  if (request.state !== undefined) answer.ours = textOf(made(problems, 'our state', [bytes(request.state)]))
  attempt(problems, 'edit', () => {
    const content = doc.getText('content')
    content.insert(0, 'edited ')
    content.insert(content.length, ' end')
    if (content.length > 9) content.delete(3, content.length - 6)
    Y.encodeStateAsUpdate(doc)
  })
  answer.loud = loud.splice(0)
  return answer
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(judge(JSON.parse(line))) + '\n')
}
