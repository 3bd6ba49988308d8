/**
 * What every upstream protocol must do (src/connectors/connector.ts): one honest login, and for everything that a
 * provider or an attacker can spoil a refusal with an `upstream.*` fault and a reason, with the honest login again after
 * each as the control. A harness plays provider and browser.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Arrival, Connector, Departure } from '#connectors/connector.ts'
import { Fault, type FaultCode } from '#kernel/faults.ts'
import type { Identity, Wish } from '#kernel/identity.ts'
import { randomToken } from '#kernel/random.ts'

export interface ConnectorHarness {
  readonly connector: Connector
  readonly returnTo: URL
  /** Who signs in at the provider: the identity that must come out. */
  readonly user: { readonly uid: string; readonly claims: Readonly<Record<string, unknown>> }
  /** Plays the browser and the person at the provider. */
  visit(departure: Departure): Promise<Arrival>
  /** Spoils one thing from now on; undefined: honest again. */
  tamper(name: string | undefined): void
  /** Requests that the provider got so far. */
  contacts(): number
  /** Texts that no fault may repeat: secrets of the deployment. */
  readonly secrets: readonly string[]
  close(): Promise<void>
}

export interface ConnectorSuite {
  open(): Promise<ConnectorHarness>
  /** What the harness can spoil → the fault that must come of it. */
  readonly tampers: Readonly<Record<string, FaultCode>>
}

const quiet: Wish = { forceLogin: false, passive: false }

interface Journey {
  readonly state: string
  readonly departure: Departure
  readonly memo: unknown
}

/** Leaves; the memo goes through JSON as it does through the store. */
const leave = async ({ connector, returnTo }: ConnectorHarness, wish: Wish): Promise<Journey> => {
  const state = randomToken()
  const { departure, memo } = await connector.depart({ state, returnTo, wish })
  return { state, departure, memo: JSON.parse(JSON.stringify(memo)) }
}

const comeBack = (
  harness: ConnectorHarness,
  { state, memo }: Journey,
  arrival: Arrival,
  wish = quiet,
): Promise<Identity> => harness.connector.arrive({ state, returnTo: harness.returnTo, wish, memo }, arrival)

const login = async (harness: ConnectorHarness, wish = quiet): Promise<Identity> => {
  const journey = await leave(harness, wish)
  return comeBack(harness, journey, await harness.visit(journey.departure), wish)
}

const partsOf = (departure: Departure): string =>
  departure.url.href + (departure.go === 'post' ? JSON.stringify(departure.fields) : '')

export const connectorContract = (name: string, suite: ConnectorSuite): void => {
  describe(`connector contract: ${name}`, () => {
    let harness: ConnectorHarness
    before(async () => {
      harness = await suite.open()
    })
    after(() => harness.close())

    /** The fault of `work`; honest logins must work again afterwards. */
    const refusal = async (work: () => Promise<unknown>): Promise<Fault> => {
      let caught: unknown
      try {
        await work()
      } catch (error) {
        caught = error
      }
      harness.tamper(undefined)
      assert.ok(caught instanceof Fault, `expected a Fault, got ${caught}`)
      assert.match(caught.code, /^upstream\./)
      assert.equal(typeof caught.detail.reason, 'string', 'the detail names a reason')
      const told = JSON.stringify(caught.detail)
      for (const secret of harness.secrets) assert.ok(!told.includes(secret), 'the detail repeats a secret')
      const { uid } = await login(harness)
      assert.equal(uid, harness.user.uid, 'control: an honest login still works')
      return caught
    }

    test('opening contacts nobody', async () => {
      const fresh = await suite.open()
      try {
        assert.equal(fresh.contacts(), 0)
        await login(fresh)
        assert.ok(fresh.contacts() > 0, 'control: a login does')
      } finally {
        await fresh.close()
      }
    })

    test('an honest login gives the user id exactly and every claim unmodified', async () => {
      const identity = await login(harness)
      assert.equal(identity.uid, harness.user.uid)
      for (const [claim, value] of Object.entries(harness.user.claims)) assert.deepEqual(identity.claims[claim], value)
    })

    test('the departure carries the state, and no two departures anything else in common that must be secret', async () => {
      const [one, two] = [await leave(harness, quiet), await leave(harness, quiet)]
      assert.ok(partsOf(one.departure).includes(one.state))
      assert.notDeepEqual(one.memo, two.memo)
    })

    test('what the memo keeps secret is not in the answer to somebody else’s trip', async () => {
      const [mine, theirs] = [await leave(harness, quiet), await leave(harness, quiet)]
      const arrival = await harness.visit(theirs.departure)
      await refusal(() => comeBack(harness, { ...mine, state: theirs.state }, arrival))
    })

    test('an answer with the state of another trip is refused', async () => {
      const [mine, theirs] = [await leave(harness, quiet), await leave(harness, quiet)]
      const arrival = await harness.visit(theirs.departure)
      await refusal(() => comeBack(harness, mine, arrival))
    })

    test('the same answer twice is refused the second time', async () => {
      const journey = await leave(harness, quiet)
      const arrival = await harness.visit(journey.departure)
      assert.equal((await comeBack(harness, journey, arrival)).uid, harness.user.uid)
      await refusal(() => comeBack(harness, journey, arrival))
    })

    test('an empty answer is refused', async () => {
      const journey = await leave(harness, quiet)
      const nothing: Arrival = { method: 'GET', url: harness.returnTo, fields: new URLSearchParams() }
      await refusal(() => comeBack(harness, journey, nothing))
    })

    for (const [tamper, code] of Object.entries(suite.tampers))
      test(`refused: ${tamper}`, async () => {
        const fault = await refusal(async () => {
          const journey = await leave(harness, quiet)
          harness.tamper(tamper)
          await comeBack(harness, journey, await harness.visit(journey.departure))
        })
        assert.equal(fault.code, code, JSON.stringify(fault.detail))
      })
  })
}
