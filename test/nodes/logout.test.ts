/** A node that is killed between "signed out" and the last delivery leaves the rest to the others, on every kind of stores. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { APP, asAlice, authorizationUrl, claimsOf, client, load } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { furnish, openNodes } from '#test/world/nodes.ts'
import { openReceiver } from '#test/world/receiver.ts'
import { settled } from '#test/world/settled.ts'
import { pairMissing, pairNames } from '#test/world/stores.ts'

const ids = ['one', 'two', 'three', 'four']

const worlds = await Promise.all(pairNames.map(async (name) => ({ name, skip: await pairMissing(name) })))

// Most of it is waiting for what the dead node had taken to be free again.
describe('the other node tells every application, none twice with the same token', { concurrency: true }, () => {
  for (const { name, skip } of worlds)
    test(`two nodes on ${name}`, { skip }, async (t) => {
      const nodes = await openNodes(t, name, { egress: { allowPrivate: ['127.0.0.0/8'] } })
      await furnish(nodes)
      const { servers, house, issuer } = nodes
      const [first] = servers
      assert.ok(first)
      // Its own address is gone with the first node; the keys are those of both.
      let keys: JWTVerifyGetKey | undefined
      const receiver = await openReceiver(
        () => issuer,
        () => keys ?? assert.fail('no keys yet'),
      )
      t.after(() => receiver.close())
      const told = (client_id: string) =>
        client({ client_id, trusted: true, backchannel_logout_uri: receiver.backchannel(client_id) })
      for (const one of load({ clients: ids.map(told) }).resources.clients) await house.records.clients.put(one)
      const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
      for (const client_id of ids)
        await settled(`${client_id} is known and signed in`, async () => {
          let page = await browser.open(authorizationUrl(issuer, { client_id }))
          if (/id="page-login"/.test(page.body)) page = await browser.submit(page, '#continue', asAlice)
          return page.url.searchParams.has('code')
        })
      keys = createLocalJWKSet(JSON.parse((await first.ask('/jwks')).body) as JSONWebKeySet)

      for (const id of ids.slice(1)) receiver.answer(id, 'hang')
      const end = await browser.submit(await browser.open(`${issuer}/session/end`), '#logout-yes')
      assert.match(end.body, /id="page-logged-out"/)
      await first.kill()
      assert.ok(receiver.heard.length < ids.length, 'not everybody was told before')
      for (const id of ids) receiver.answer(id, 200)
      await receiver.wait(ids)
      const tokens = receiver.asked.map(({ token }) => claimsOf(token).jti)
      assert.equal(new Set(tokens).size, tokens.length, 'each attempt had its own token')
    })
})
