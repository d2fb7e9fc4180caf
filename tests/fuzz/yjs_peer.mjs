// What Yjs itself makes of updates. Reads a line of JSON, {"updates": [base64, ...], "state": base64}, and
// answers with one: "text" of the updates in that order, "again" of its own encoding of that, "second" of that in
// version 2, "merged" of mergeUpdates, "ours" of the state; "problems" are what it threw, "loud" what it printed.
// The argument is the folder that has node_modules.
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

const require = createRequire(process.argv[2] + '/')
const Y = require('yjs')
const bytes = (encoded) => new Uint8Array(Buffer.from(encoded, 'base64'))

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
  attempt(problems, 'toDelta', () => doc.getText('content').toDelta())
  const state = attempt(problems, 'encode', () => Y.encodeStateAsUpdate(doc))
  if (state !== null) {
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
  attempt(problems, 'vector', () => Y.decodeStateVector(Y.encodeStateVector(doc)))
  const merged = attempt(problems, 'merge', () => Y.mergeUpdates(updates))
  if (merged !== null && updates.length > 0) answer.merged = textOf(made(problems, 'merged', [merged]))
  answer.ours = textOf(made(problems, 'our state', [bytes(request.state)]))
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
