// The store of the Fastify peer: SQLite, durable before a write is acknowledged (WAL, synchronous=FULL).
//
// Writes that arrive in one turn of the event loop share a transaction, as the gateway's do: one sync for all of them.

import { randomBytes } from 'node:crypto'

import Database from 'better-sqlite3'

const TABLES = `
  CREATE TABLE IF NOT EXISTS profiles (id TEXT PRIMARY KEY, email TEXT UNIQUE, phone TEXT, data TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS phones ON profiles (phone);
`

export function openStore (file) {
  const database = new Database(file)
  for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'cache_size = -24576']) database.pragma(pragma)
  database.exec(TABLES)
  const find = {
    email: database.prepare('SELECT id, data FROM profiles WHERE email = ?'),
    phone: database.prepare('SELECT id, data FROM profiles WHERE phone = ? LIMIT 1')
  }
  const insert = database.prepare('INSERT INTO profiles (id, email, phone, data) VALUES (?, ?, ?, ?)')
  const update = database.prepare('UPDATE profiles SET email = ?, phone = ?, data = ? WHERE id = ?')
  let waiting = []

  // The id of the profile; null where it is not there and may not be created.
  function apply ({ message, creates }) {
    const row = find[message.matching].get(message[message.matching])
    if (!row && !creates) return null
    const profile = mergePatch(row ? JSON.parse(row.data) : {}, message.data)
    const id = row?.id ?? randomBytes(12).toString('hex')
    const [email, phone, data] = [profile.email ?? null, profile.phones?.[0] ?? null, JSON.stringify(profile)]
    if (row) update.run(email, phone, data, id)
    else insert.run(id, email, phone, data)
    return id
  }

  // A write that fails has changed nothing, because only its last statement writes.
  const applyAll = database.transaction((writes) => writes.map((write) => {
    try {
      return [write.resolve, apply(write)]
    } catch (error) {
      return [write.reject, Object.assign(error, { statusCode: 400 })]
    }
  }))

  function commit () {
    const writes = waiting
    waiting = []
    try {
      for (const [settle, outcome] of applyAll.immediate(writes)) settle(outcome)
    } catch (error) {
      for (const { reject } of writes) reject(error)
    }
  }

  function write (message, creates) {
    return new Promise((resolve, reject) => {
      if (waiting.push({ message, creates, resolve, reject }) === 1) setImmediate(commit)
    })
  }

  return { write }
}

// JSON Merge Patch (RFC 7396); changes and returns the target.
function mergePatch (target, patch) {
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete target[name]
    else if (isObject(value)) target[name] = mergePatch(isObject(target[name]) ? target[name] : {}, value)
    else target[name] = value
  }
  return target
}

function isObject (value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
