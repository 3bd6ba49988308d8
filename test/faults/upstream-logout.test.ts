/** A provider’s logout token that meets a store in trouble: said so, and as good as new when it is sent again (DESIGN 23). */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { before, describe, test } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { parseFields } from '#http/form.ts'
import { createUpstreamLogout } from '#interaction/upstream-logout.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import { type OwnServer, startOwn } from '#test/attacks/own-server.ts'

const issuer = 'https://acme.example'

describe('a logout token while the artifact store cannot write', () => {
  let server: OwnServer
  let key: CryptoKey
  before(async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    key = privateKey
    server = await startOwn({
      identityProviders: [
        {
          id: 'acme',
          protocol: 'oidc',
          oidc: {
            client_id: 'us',
            client_secret: 'a-secret-of-ours',
            metadata: { issuer, authorization_endpoint: `${issuer}/a`, token_endpoint: `${issuer}/t` },
            jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] },
          },
        },
      ],
    })
  })

  const make = (jti: string) => {
    const iat = Math.floor(Date.now() / 1000)
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
    const claims = { iss: issuer, aud: 'us', iat, exp: iat + 120, jti, sub: 'nora', events }
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'one', typ: 'logout+jwt' }).sign(key)
  }
  const send = (logout_token: string) =>
    fetch(`${server.issuer}/federation/acme/backchannel-logout`, {
      method: 'POST',
      body: new URLSearchParams({ logout_token }),
    })

  test('503 with Retry-After, not the refusal of a bad token; the same token counts afterwards, once', async () => {
    const token = await make('first')
    const database = new DatabaseSync(join(server.folder, 'artifacts.db'), { timeout: 2_000 })
    database.exec('BEGIN IMMEDIATE')
    const during = await send(token)
    database.exec('ROLLBACK')
    database.close()
    assert.equal(during.status, 503, await during.text())
    assert.ok(Number(during.headers.get('retry-after')) > 0)
    assert.equal((await send(token)).status, 200)
    assert.equal((await send(token)).status, 400)
  })

  test('a token whose work is cut short counts when it is sent again', async () => {
    const house = await server.house()
    const ended: string[] = []
    let away = true
    const { routes } = createUpstreamLogout({
      ...house,
      issuer: server.issuer,
      federation: { connector: async () => ({ loggedOut: async () => ({ token: 'second', uid: 'nora' }) }) as never },
      upstreams: { byUid: async () => [{ id: 'session', identity: { uid: 'nora' } }] } as never,
      sessions: {
        async endUpstream(id) {
          if (away) throw new Fault('store.unavailable')
          ended.push(id)
          return 1
        },
      },
      audit: () => undefined,
      log: silentLog,
    })
    const route = routes.find(({ path }) => path.endsWith('/backchannel-logout')) ?? assert.fail()
    const post = async () => {
      const ctx = { params: { idp: 'acme' }, status: 0 }
      await route.run(ctx as never, parseFields('logout_token=x.y.z'))
      return ctx.status
    }
    await assert.rejects(post(), (error) => isFault(error, 'store.unavailable'))
    away = false
    assert.deepEqual([await post(), ended], [200, ['session']])
    assert.deepEqual([await post(), ended], [400, ['session']])
    await house.close()
  })
})
