/**
 * `otp`: one-time codes by the clock (TOTP, RFC 6238), from an app that was set up during a sign-in, and recovery codes
 * for who lost it. A time step is spent once and in order, by compare-and-set in the store, so that a code that was seen
 * over a shoulder is worth nothing a second later, on any node (RFC 6238 5.2). Guesses are counted before they are judged:
 * three codes of a million are right at any moment.
 */
import { randomInt } from 'node:crypto'
import { z } from 'zod'
import type { Accounts, Credentials } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import { type FaultCode, isFault } from '#kernel/faults.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { hmac, randomToken } from '#kernel/random.ts'
import type { Account } from '#kernel/records/account.ts'
import type { OtpCredential } from '#kernel/records/credential.ts'
import { createAttempts, unknownName } from './attempts.ts'
import type { Attempt, Enrolled, Enrolment, Method, MethodType } from './method.ts'

export const otp = {
  id: 'otp',
  settings: z
    .strictObject({
      enabled: z.boolean().default(true).meta({ help: 'Accept one-time codes of an app (TOTP).', reload: 'live' }),
      enrolment: z.boolean().default(true).meta({
        help: 'Whether people who have none may set up codes during a sign-in that needs them, after their first factor.',
        reload: 'live',
      }),
      issuer: z
        .string()
        .min(1)
        .max(64)
        .regex(/^[^:]+$/, 'must not contain a colon')
        .optional()
        .meta({
          help: 'How the app names the account’s provider; the host of the issuer when absent.',
          reload: 'live',
        }),
    })
    .prefault({ enabled: false })
    .meta({ help: 'Off while this block is absent.' }),
} satisfies MethodType

export type OtpSettings = z.output<typeof otp.settings>

/** RFC 6238 1.2 and RFC 4226 5.3, as every app understands them. */
const TOTP_SHAPE = { algorithm: 'SHA1', digits: 6, period: 30 } as const
const SECRET_BYTES = 20
/** Steps before and after, for clocks that are not quite right. */
const SKEW = 1
const RECOVERY_CODES = 10
const RECOVERY_DIGITS = 12

const LIMITS = { perPair: 5, perAccount: 20, perNetwork: 100, perAccountAndDay: 50 }

export interface OtpWorld {
  readonly accounts: Accounts
  readonly credentials: Credentials
  readonly store: ArtifactStore
  readonly clock: Clock
  /** HMAC key of recovery codes: they are too short to be hashed plainly. */
  readonly recoveryKey: Uint8Array
  /** Name of this provider in the person's app. */
  readonly issuer: string
}

/** Loaded when first used: most deployments have no codes. */
const library = () => import('otpauth')

/** Digits only; people type spaces and dashes, and some keyboards other digits. */
const digitsOf = (code: string): string => code.slice(0, 64).normalize('NFKC').replace(/[\s-]/g, '')

const hashOf = (key: Uint8Array, accountId: string, code: string): string =>
  hmac(key, JSON.stringify(['recovery', accountId, code])).toString('base64url')

const drawRecoveryCodes = (): string[] =>
  Array.from({ length: RECOVERY_CODES }, () =>
    Array.from({ length: RECOVERY_DIGITS }, () => randomInt(10))
      .join('')
      .replace(/(\d{4})(?=\d)/g, '$1-'),
  )

/** The time step that a code belongs to, of those that are near; undefined for a wrong code. */
const stepOf = async (secret: string, code: string, now: number): Promise<number | undefined> => {
  if (!/^\d{6}$/.test(code)) return undefined
  const { Secret, TOTP } = await library()
  const totp = new TOTP({ ...TOTP_SHAPE, secret: Secret.fromBase32(secret) })
  const delta = totp.validate({ token: code, timestamp: now, window: SKEW })
  return delta === null ? undefined : totp.counter({ timestamp: now }) + delta
}

/** RFC 8176 2: one-time password. */
const AMR = ['otp']

type Verdict = 'right' | 'recovered' | Extract<FaultCode, 'otp.wrong' | 'otp.used'>

/** Spends a code of an account. */
const spend = async (world: OtpWorld, { accountId, secret }: OtpCredential, code: string): Promise<Verdict> => {
  const { credentials, clock, recoveryKey } = world
  if (code.length === RECOVERY_DIGITS) {
    const hash = hashOf(recoveryKey, accountId, code)
    const spent = await credentials.change(accountId, 'otp', (now) =>
      now.recoveryCodes.includes(hash)
        ? { ...now, recoveryCodes: now.recoveryCodes.filter((each) => each !== hash), usedAt: clock.now() }
        : undefined,
    )
    return spent ? 'recovered' : 'otp.wrong'
  }
  const step = await stepOf(secret, code, clock.now())
  if (step === undefined) return 'otp.wrong'
  // Set up anew meanwhile: a code of the former secret is none.
  const spent = await credentials.change(accountId, 'otp', (now) =>
    now.secret === secret && now.step < step ? { ...now, step, usedAt: clock.now() } : undefined,
  )
  return spent ? 'right' : 'otp.used'
}

const createEnrolment = (world: OtpWorld, open: boolean): Enrolment => {
  const { credentials, clock, issuer, recoveryKey, store } = world
  const attempts = createAttempts(store, clock, 'otp enrolment', LIMITS)

  const keep = async (given: { accountId: string; secret: string; step: number }, anew: boolean): Promise<Enrolled> => {
    const { accountId } = given
    const recoveryCodes = drawRecoveryCodes()
    const now = clock.now()
    const credential: OtpCredential = {
      ...given,
      id: `${accountId}|otp`,
      method: 'otp',
      recoveryCodes: recoveryCodes.map((code) => hashOf(recoveryKey, accountId, digitsOf(code))),
      createdAt: now,
      usedAt: now,
    }
    try {
      await (anew ? credentials.replace(credential) : credentials.create(credential))
    } catch (error) {
      if (!isFault(error, 'directory.conflict')) throw error
      return { ok: false, code: 'otp.taken' }
    }
    return { ok: true, amr: AMR, recoveryCodes }
  }

  return {
    open,
    has: async (accountId) => (await credentials.get(accountId, 'otp')) !== undefined,
    async begin({ username }: Account, former) {
      const [{ Secret, TOTP }, { default: encode }] = await Promise.all([library(), import('qr')])
      const bytes = Uint8Array.from(Buffer.from(randomToken(SECRET_BYTES), 'base64url'))
      const secret = former ?? new Secret({ buffer: bytes.buffer }).base32
      const totp = new TOTP({ ...TOTP_SHAPE, issuer, label: username, secret: Secret.fromBase32(secret) })
      const uri = totp.toString()
      const svg = encode(uri, 'svg', { ecc: 'medium', border: 3 })
      return { secret, uri, picture: `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}` }
    },
    async confirm({ accountId, secret, code, address }, { anew = false } = {}) {
      const who = { account: `account ${accountId}`, address }
      const wait = await attempts.begin(who)
      if (wait !== undefined) return { ok: false, code: 'login.limited', retryAfter: wait }
      const step = await stepOf(secret, digitsOf(code), clock.now())
      if (step === undefined) return { ok: false, code: 'otp.wrong' }
      await attempts.right(who, { begun: true })
      return keep({ accountId, secret, step }, anew)
    },
  }
}

/** The account that is asked: the known one, else the one that the form names. */
const find = (
  { accounts }: OtpWorld,
  username: string,
  accountId: string | undefined,
): Promise<Account | undefined> => {
  if (accountId !== undefined) return accounts.get(accountId)
  return username === '' ? Promise.resolve(undefined) : accounts.byLogin(username.slice(0, 1024))
}

/** @param settings the block `methods.otp` */
export const openOtp = (world: OtpWorld, { enrolment }: Pick<OtpSettings, 'enrolment'>): Method => {
  const attempts = createAttempts(world.store, world.clock, otp.id, LIMITS)

  const judge = async (account: Account | undefined, code: string): Promise<Verdict> => {
    const credential = account && (await world.credentials.get(account.id, 'otp'))
    return credential ? spend(world, credential, code) : 'otp.wrong'
  }

  return {
    id: otp.id,
    page: 'otp',
    secondary: true,
    enrolment: createEnrolment(world, enrolment),
    async attempt({ username = '', code = '' }, { accountId, address }): Promise<Attempt> {
      const account = await find(world, username, accountId)
      const who = { account: account ? `account ${account.id}` : unknownName(username), address }
      const wait = await attempts.begin(who)
      if (wait !== undefined) return { ok: false, code: 'login.limited', retryAfter: wait }
      const verdict = await judge(account, digitsOf(code))
      if (verdict === 'otp.wrong' || verdict === 'otp.used') {
        // Who is not known yet must not learn more than that it did not work.
        return { ok: false, code: accountId === undefined ? 'otp.wrong' : verdict }
      }
      await attempts.right(who, { begun: true })
      if (!account || account.disabled) return { ok: false, code: 'login.disabled' }
      return { ok: true, accountId: account.id, amr: AMR, ...(verdict === 'recovered' && { recovered: true }) }
    },
  }
}
