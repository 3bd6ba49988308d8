/** An update of a client’s own record that takes its time, while an administrator decides otherwise (RFC 7592 2.2). */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { type Gatehouse, startGatehouse } from '#test/flows/world.ts'

const CALLBACK = 'https://rp.example/cb'
const tls = (name: string) => readFileSync(new URL(`../world/tls/${name}.pem`, import.meta.url))

type Members = Record<string, unknown>

describe('an update under way', () => {
  /** A sector document that waits until it is told to answer. */
  let asked: (answer: () => void) => void
  const server = createServer({ key: tls('key'), cert: tls('cert') }, (_req, res: ServerResponse) =>
    asked(() => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify([CALLBACK]))),
  )
  let op: Gatehouse
  before(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    op = await startGatehouse({ egress: { allowPrivate: ['127.0.0.0/8', 'localhost'], insecureHosts: ['localhost'] } })
  })
  after(() => server.close())

  const send = async (url: unknown, method: string, metadata: Members, token?: unknown) => {
    const response = await fetch(String(url), {
      method,
      headers: { 'content-type': 'application/json', ...(token !== undefined && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(metadata),
    })
    return { status: response.status, body: (await response.json()) as Members }
  }

  /** Registers a client, begins its update, and lets `meanwhile` happen before it ends. */
  const during = async (meanwhile: (id: string) => Promise<unknown>) => {
    const { body } = await send(`${op.issuer}/register`, 'POST', { redirect_uris: [CALLBACK] })
    const { client_id, registration_client_uri: uri, registration_access_token: token } = body
    const reached = new Promise<() => void>((resolve) => {
      asked = resolve
    })
    const { port } = server.address() as AddressInfo
    const sector_identifier_uri = `https://localhost:${port}/sector`
    const change = { client_id, redirect_uris: [CALLBACK], client_name: 'Changed', sector_identifier_uri }
    const updating = send(uri, 'PUT', change, token)
    const answer = await reached
    await meanwhile(String(client_id))
    answer()
    const { status, body: answered } = await updating
    const house = await op.house()
    const record = await house.records.clients.get(String(client_id))
    await house.close()
    return { status, error: answered.error, record }
  }
  const asAdministrator =
    (work: (clients: Awaited<ReturnType<Gatehouse['house']>>['records']['clients'], id: string) => Promise<unknown>) =>
    async (id: string) => {
      const house = await op.house()
      await work(house.records.clients, id)
      await house.close()
    }
  const change = (members: Members) =>
    asAdministrator(async (clients, id) => {
      const record = (await clients.get(id)) ?? assert.fail('no such client')
      await clients.put({ ...record, ...members })
    })

  test('control: left alone it is written', async () => {
    const { status, record } = await during(async () => undefined)
    assert.deepEqual([status, record?.client_name], [200, 'Changed'])
  })

  test('does not bring back a client that was removed', async () => {
    const { status, error, record } = await during(asAdministrator((clients, id) => clients.remove(id)))
    assert.deepEqual([status, error, record], [401, 'invalid_token', undefined])
  })

  test('does not enable a client that was disabled', async () => {
    const { status, error, record } = await during(change({ disabled: true }))
    assert.deepEqual([status, error, record?.disabled], [401, 'invalid_token', true])
  })

  test('does not undo what an administrator wrote', async () => {
    const { status, error, record } = await during(change({ scope: 'openid' }))
    assert.deepEqual([status, error, record?.scope], [409, 'invalid_request', 'openid'])
  })
})
