// Edits one file of a room. The address names it: ?file=notes/todo.md&name=Ann&hub=ws://127.0.0.1:4747&token=...
import { EditorState } from '@codemirror/state'
import { basicSetup, EditorView } from 'codemirror'
import * as Y from 'yjs'
import { WebsocketProvider } from 'y-websocket'
import { yCollab } from 'y-codemirror.next'

const asked = new URLSearchParams(location.search)
const hub = asked.get('hub') ?? 'ws://127.0.0.1:4747'
const file = asked.get('file') ?? 'notes/todo.md'
const name = asked.get('name') ?? 'someone'
const show = (id, text) => { document.getElementById(id).textContent = text }

const doc = new Y.Doc()
const path = file.split('/').map(encodeURIComponent).join('/')
const provider = new WebsocketProvider(`${hub}/yjs`, path, doc, {
  params: asked.has('token') ? { token: asked.get('token') } : {}
})
const content = doc.getText('content') // the file's characters; never fill it before it is synced

provider.awareness.setLocalStateField('user', { name, color: '#30bced', colorLight: '#30bced33' })
provider.awareness.on('change', () => {
  const people = [...provider.awareness.getStates().values()].map(state => state.user?.name).filter(Boolean)
  show('people', [...new Set(people)].join(', '))
})
provider.on('status', ({ status }) => show('status', status))
provider.on('closed', ({ reason }) => show('status', reason)) // why, when it is of no use to come back
show('file', file)

// A file's line endings are characters like others. CodeMirror would make one character of "\r\n", and then every
// edit after the first line would be made at another place than the one it was typed at.
const view = new EditorView({
  extensions: [basicSetup, EditorState.lineSeparator.of('\n'), EditorView.lineWrapping, yCollab(content, provider.awareness)],
  parent: document.getElementById('editor'),
  doc: content.toString()
})
Object.assign(window, { doc, provider, view })
