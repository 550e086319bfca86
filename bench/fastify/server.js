// The Fastify peer: a gateway for one vendor's update and import, written in an afternoon and tuned.
//
// It finds a profile by e-mail or phone, validates the request by JSON Schema (ajv), applies a merge patch, and stores
// the profile in SQLite before it responds. It has no update functions, own fields' types, dry runs, rate limits, journal
// or other vendors: it does less than the gateway.
//
// node server.js PORT FILE

import { XMLParser } from 'fast-xml-parser'
import Fastify from 'fastify'

import { messageSchema, replySchema } from './schemas.js'
import { openStore } from './store.js'

const TOKENS = new Set(['abcdefghijklmnqrstuvwxyz'])
const LISTS = new Set(['phones', 'subscriptions', 'cats'])
const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }

const [port, file] = process.argv.slice(2)
const store = openStore(file)
const xml = new XMLParser({ ignoreAttributes: true, parseTagValue: false, isArray: (name) => LISTS.has(name) })
const server = Fastify({ bodyLimit: 2 ** 20, routerOptions: { ignoreTrailingSlash: true } })

server.addContentTypeParser(['application/xml', 'text/xml'], { parseAs: 'string' }, (_request, body, done) => {
  try {
    done(null, xml.parse(body, true).xml)
  } catch (error) {
    error.statusCode = 400
    done(error)
  }
})

server.setErrorHandler((error, request, reply) => {
  const status = error.statusCode ?? 500
  respond(request, reply.code(status), { error: status, error_text: error.message })
})

for (const [path, creates] of [['update', false], ['import', true]]) {
  const schema = { body: messageSchema, response: { '2xx': replySchema, '4xx': replySchema, '5xx': replySchema } }
  server.post(`/api/v1.1/profiles/${path}`, { schema }, async (request, reply) => {
    const message = request.body
    if (!TOKENS.has(message.token)) return respond(request, reply.code(403), { error: 403, error_text: 'Unknown token' })
    const id = await store.write(message, creates)
    if (id === null) return respond(request, reply.code(404), { error: 404, error_text: 'Profile not found' })
    return respond(request, reply, { error: 0, error_text: 'Successful operation', profile_id: id })
  })
}

// The response in the request's media type.
function respond (request, reply, tree) {
  if (!request.headers['content-type']?.includes('xml')) return reply.send(tree)
  const members = Object.entries(tree).map(([name, value]) => `<${name}>${escaped(value)}</${name}>`)
  const text = `<?xml version="1.0" encoding="utf-8"?>\n<xml>${members.join('')}</xml>`
  return reply.type('application/xml').serializer(String).send(text)
}

function escaped (value) {
  return String(value).replace(/[&<>]/g, (character) => ESCAPES[character])
}

await server.listen({ port: Number(port), host: '127.0.0.1' })
