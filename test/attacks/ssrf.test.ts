/**
 * Making Gatehouse ask inside addresses: every spelling of a private address, names that resolve to one, redirects to one,
 * a dispatcher of the caller's own. A canary counts what reaches it; each group has its control that does reach it.
 */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo, LookupFunction } from 'node:net'
import { after, before, beforeEach, describe, test } from 'node:test'
import { systemClock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import { silentLog } from '#kernel/log.ts'
import { isSpecialAddress } from '#kernel/outbound/addresses.ts'
import { createOutbound, type Egress, type Outbound } from '#kernel/outbound.ts'

let hits = 0
let port = 0
const canary = createServer((req, res) => {
  hits += 1
  if (req.url === '/redirect') res.writeHead(302, { location: `http://127.0.0.1:${port}/inside` })
  res.end('inside')
})

before(async () => {
  await new Promise<void>((resolve) => canary.listen(0, '::', resolve))
  port = (canary.address() as AddressInfo).port
})
after(async () => {
  canary.closeAllConnections()
  await new Promise((resolve) => canary.close(resolve))
})
beforeEach(() => {
  hits = 0
})

const opened: Outbound[] = []
after(() => Promise.all(opened.map((each) => each.close())))
const open = (egress: Partial<Egress> = {}, lookup?: LookupFunction): Outbound => {
  const outbound = createOutbound({
    egress: { allowPrivate: false, insecureHosts: [], ...egress },
    clock: systemClock,
    log: silentLog,
    limits: { connectMs: 500, totalMs: 1000, failures: 1000 },
    ...(lookup && { lookup }),
  })
  opened.push(outbound)
  return outbound
}

const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  assert.ok(error instanceof Fault, `expected a Fault, got ${error}`)
  return error
}

const spellings = [
  'http://127.0.0.1',
  'http://127.1',
  'http://127.0.1',
  'http://2130706433',
  'http://0x7f000001',
  'http://0x7f.1',
  'http://0177.0.0.1',
  'http://017700000001',
  'http://127.0.0.1.',
  'http://①②⑦.⓪.⓪.①',
  'http://127。0。0。1',
  'http://%31%32%37.0.0.1',
  'http://0',
  'http://0.0.0.0',
  'http://localhost',
  'http://LOCALHOST',
  'http://[::1]',
  'http://[0:0:0:0:0:0:0:1]',
  'http://[::]',
  'http://[::ffff:127.0.0.1]',
  'http://[::ffff:7f00:1]',
  'http://[::127.0.0.1]',
  'http://[64:ff9b::127.0.0.1]',
  'http://[64:ff9b:1::7f00:1]',
  'http://[2002:7f00:1::1]',
  'https://127.0.0.1',
  'https://[::1]',
]

describe('spellings of this machine', () => {
  for (const origin of spellings)
    test(origin, async () => {
      const fault = await faultOf(open().fetch(`${origin}:${port}/`))
      assert.equal(fault.code, 'outbound.refused')
      assert.equal(hits, 0)
    })

  test('http://localhost., which not every resolver knows', async () => {
    await faultOf(open().fetch(`http://localhost.:${port}/`))
    assert.equal(hits, 0)
  })

  test('control: the same address, allowed by range, by address or by name, is reached', async () => {
    for (const [allowPrivate, host] of [
      [['127.0.0.0/8'], '127.1'],
      [['127.0.0.1'], '2130706433'],
      [['::1/128'], '[::1]'],
      [['127.0.0.0/8'], '[::ffff:127.0.0.1]'],
      [['LocalHost.'], 'localhost'],
      [['127.0.0.1', '::1'], 'localhost'],
    ] as const) {
      hits = 0
      const answer = await open({ allowPrivate }).fetch(`http://${host}:${port}/`)
      assert.equal(await answer.text(), 'inside')
      assert.equal(hits, 1, host)
    }
  })

  test('allowing one range or name opens no other', async () => {
    for (const allowPrivate of [['10.0.0.0/8'], ['localhost'], ['127.0.0.2/31'], ['::2']]) {
      const fault = await faultOf(open({ allowPrivate }).fetch(`http://127.0.0.1:${port}/`))
      assert.equal(fault.code, 'outbound.refused')
    }
    assert.equal(hits, 0)
  })
})

describe('addresses that are not public', () => {
  const inside = [
    ...['0.0.0.0', '10.0.0.1', '10.255.255.255', '100.64.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1'],
    ...['172.31.255.255', '192.0.0.1', '192.0.2.1', '192.88.99.1', '192.168.255.1', '198.18.0.1', '198.51.100.7'],
    ...['203.0.113.9', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
    ...['::', '::1', '::ffff:10.0.0.1', '::ffff:8.8.8.8', '64:ff9b::808:808', '100::1', '2001::1', '2001:db8::1'],
    ...[
      '2002:a00:1::',
      '3fff::1',
      '5f00::1',
      'fc00::1',
      'fd12:3456::1',
      'fe80::1',
      'fe80::1%eth0',
      'fec0::1',
      'ff02::1',
    ],
    ...['', 'localhost', '1.2.3', '1.2.3.4.5'],
  ]
  const outside = [
    ...['1.1.1.1', '9.255.255.255', '11.0.0.1', '100.63.255.255', '100.128.0.1', '126.0.0.1', '128.0.0.1'],
    ...['169.253.255.255', '172.15.255.255', '172.32.0.1', '192.167.1.1', '192.169.1.1', '198.17.1.1', '198.20.0.1'],
    ...['223.255.255.255', '2606:4700::1111', '2a00:1450::8a', '2001:4860:4860::8888', '2001:200::1', '3ffe::1'],
  ]
  test('are recognised, and public ones beside their borders are not', () => {
    for (const address of inside) assert.equal(isSpecialAddress(address), true, address)
    for (const address of outside) assert.equal(isSpecialAddress(address), false, address)
  })
})

describe('names', () => {
  /** DNS as an attacker may answer it. */
  const dns =
    (...answers: string[][]): LookupFunction =>
    (_name, options, callback) => {
      const all = (answers.length > 1 ? answers.shift() : answers[0]) ?? []
      const found = all.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
      const [first] = found
      if (options.all || !first) callback(null, found)
      else callback(null, first.address, first.family)
    }

  for (const answers of [['127.0.0.1'], ['::1'], ['::ffff:127.0.0.1'], ['10.0.0.1', '127.0.0.1'], []])
    test(`one that resolves to ${answers.join(' and ') || 'nothing'}`, async () => {
      const fault = await faultOf(open({}, dns(answers)).fetch(`http://idp.example:${port}/`))
      assert.equal(fault.code, 'outbound.refused')
      assert.equal(hits, 0)
    })

  test('of several addresses only the allowed ones are dialled', async () => {
    const outbound = open({ allowPrivate: ['127.0.0.1'] }, dns(['10.0.0.1', '169.254.169.254', '127.0.0.1']))
    assert.equal(await (await outbound.fetch(`http://idp.example:${port}/`)).text(), 'inside')
    assert.equal(hits, 1)
  })

  test('one that changes between two requests is judged anew', async () => {
    const outbound = open({ allowPrivate: ['127.0.0.1'] }, dns(['127.0.0.1'], ['::1']))
    await (await outbound.fetch(`http://idp.example:${port}/`, { headers: { connection: 'close' } })).text()
    const fault = await faultOf(outbound.fetch(`http://idp.example:${port}/`))
    assert.equal(fault.code, 'outbound.refused')
    assert.equal(hits, 1, 'control: the first was let through')
  })

  test('plain http goes inside only', async () => {
    const fault = await faultOf(open({}, dns(['93.184.215.14'])).fetch('http://public.example/'))
    assert.deepEqual([fault.code, fault.detail.reason], ['outbound.refused', 'plain http'])
  })
})

describe('around the guard', () => {
  test('redirects are refused, or handed back unfollowed', async () => {
    const { fetch } = open({ allowPrivate: ['127.0.0.1'] })
    for (const redirect of [undefined, 'follow', 'error'] as const) {
      hits = 0
      const fault = await faultOf(fetch(`http://127.0.0.1:${port}/redirect`, { redirect }))
      assert.deepEqual([fault.code, fault.detail.reason], ['outbound.refused', 'redirect'])
      assert.equal(hits, 1)
    }
    const answer = await fetch(`http://127.0.0.1:${port}/redirect`, { redirect: 'manual' })
    assert.equal(answer.status, 302)
    assert.match(answer.headers.get('location') ?? '', /inside/)
  })

  test('a dispatcher of the caller’s own is not used', async () => {
    let used = 0
    const dispatcher = { dispatch: () => ++used } as unknown as RequestInit['dispatcher']
    await faultOf(open().fetch(`http://127.0.0.1:${port}/`, { dispatcher }))
    const answer = await open({ allowPrivate: ['127.0.0.1'] }).fetch(`http://127.0.0.1:${port}/`, { dispatcher })
    assert.equal(await answer.text(), 'inside')
    assert.equal(used, 0)
    assert.equal(hits, 1)
  })

  for (const url of [
    'file:///etc/passwd',
    'data:text/plain,hello',
    'ftp://127.0.0.1/x',
    'blob:http://a/b',
    'javascript:1',
    'http://user:password@127.0.0.1/',
    'http://',
    '/relative',
  ])
    test(`not a web address: ${url}`, async () => {
      const fault = await faultOf(open({ allowPrivate: ['127.0.0.0/8'] }).fetch(url))
      assert.equal(fault.code, 'outbound.refused')
      assert.equal(hits, 0)
    })
})
