// What the Fastify peer accepts and returns, as JSON Schema. Fastify coerces text to the declared types, for XML.

const address = { type: 'string', maxLength: 254, pattern: '^[^@\\s]+@[^@\\s]+$' }
const phone = { type: 'string', pattern: '^\\+?[0-9 ()-]{3,32}$' }
const text = { type: 'string', maxLength: 4096 }

const subscription = {
  type: 'object',
  required: ['channel'],
  additionalProperties: false,
  properties: {
    channel: text,
    resource_id: { type: 'integer' },
    email: address,
    phone,
    provider: text,
    subscription_id: text,
    status: text,
    priority: { type: 'integer' },
    custom_fields: { type: 'object' },
    cats: { type: 'array', items: text },
    cc_data: { type: 'object' }
  }
}

export const messageSchema = {
  type: 'object',
  required: ['token', 'db_id', 'data'],
  properties: {
    token: text,
    db_id: { type: 'integer' },
    matching: { enum: ['email', 'phone'], default: 'email' },
    email: address,
    phone,
    detect_geo: { type: 'boolean' },
    data: {
      type: 'object',
      properties: {
        _fname: text,
        _lname: text,
        _postal_code: text,
        email: address,
        phones: { type: 'array', items: phone },
        subscriptions: { type: 'array', items: subscription }
      }
    }
  }
}

export const replySchema = {
  type: 'object',
  properties: { error: { type: 'integer' }, error_text: { type: 'string' }, profile_id: { type: 'string' } }
}
