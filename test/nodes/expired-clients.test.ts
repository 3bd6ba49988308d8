/** A registered client whose time is over is refused by every node, its tokens and grants too, whoever looks first. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { asAlice, authorizationUrl, CALLBACK } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { furnish, type NodeServer, openNodes } from '#test/world/nodes.ts'
import { settled } from '#test/world/settled.ts'
import { pairMissing, pairNames } from '#test/world/stores.ts'

type Json = Record<string, string>
/** Long enough for a sign-in on a busy machine. */
const LIFE_S = 15

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const posted = async (server: NodeServer, path: string, fields: Json, headers: Json) => {
  const body = new URLSearchParams(fields).toString()
  const answer = await server.ask(path, { method: 'POST', headers, body })
  return { status: answer.status, body: JSON.parse(answer.body || '{}') as Json }
}

for (const name of pairNames)
  describe(`two nodes on ${name}`, { skip: await pairMissing(name) }, () => {
    test('a client that registered at one of them ends at both', async (t) => {
      const nodes = await openNodes(t, name, { registration: { clientLifetime: `PT${LIFE_S}S` } })
      await furnish(nodes)
      const { servers, issuer } = nodes
      const [first, second] = servers
      assert.ok(first && second)
      const metadata = {
        redirect_uris: [CALLBACK],
        application_type: 'native',
        grant_types: ['authorization_code', 'refresh_token'],
      }
      const made = await first.ask('/register', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(metadata),
      })
      assert.equal(made.status, 201, made.body)
      const {
        client_id = '',
        client_secret = '',
        registration_access_token = '',
        ...rest
      } = JSON.parse(made.body) as Json
      const end = Number(rest.client_secret_expires_at) * 1000
      const basic = {
        ...FORM,
        authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`,
      }
      const browser = new Browser({ stopAt: (url) => url.href.startsWith(CALLBACK) })
      const asked = { client_id, scope: 'openid offline_access', prompt: 'consent' }
      const login = await browser.open(authorizationUrl(issuer, asked))
      const back = await browser.submit(await browser.submit(login, '#continue', asAlice), '#allow')
      const code = back.url.searchParams.get('code') ?? assert.fail(back.body)
      const grant = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK }
      const { body: tokens } = await posted(second, '/token', grant, basic)
      const { access_token = '', refresh_token = '' } = tokens
      assert.ok(access_token && refresh_token, JSON.stringify(tokens))

      const answers = async (server: NodeServer) => {
        const authorization = `Bearer ${access_token}`
        const userinfo = await server.ask('/userinfo', { headers: { authorization } })
        const own = { authorization: `Bearer ${registration_access_token}` }
        const managed = await server.ask(`/register/${client_id}`, { headers: own })
        const begun = await server.ask(`/authorize?${new URL(authorizationUrl(issuer, { client_id })).searchParams}`)
        return [userinfo.status, managed.status, begun.status]
      }
      for (const server of servers) assert.deepEqual(await answers(server), [200, 200, 303])
      assert.ok(Date.now() < end, 'the machine was too slow for this test to say anything')
      await settled('its time is over', () => Date.now() >= end, LIFE_S * 1000 + 5000)
      for (const server of servers) {
        assert.deepEqual(await answers(server), [401, 401, 400])
        const refreshed = await posted(server, '/token', { grant_type: 'refresh_token', refresh_token }, basic)
        assert.deepEqual([refreshed.status, refreshed.body.error], [401, 'invalid_client'])
      }
    })
  })
