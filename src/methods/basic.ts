/**
 * `basic`: username (or an e-mail that exactly one account has) and password. The answer to a wrong name and to a wrong
 * password is the same in words, status and time (ASVS 5.0 6.3.8); a disabled account shows only to who knows its password.
 */
import { z } from 'zod'
import type { Accounts } from '#directory/records.ts'
import type { Clock } from '#kernel/clock.ts'
import { isFault } from '#kernel/faults.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import type { Account } from '#kernel/records/account.ts'
import { type Attempts, createAttempts, type Standing, unknownName } from './attempts.ts'
import type { Attempt, Method, MethodType } from './method.ts'
import type { Passwords } from './password.ts'

export const basic = {
  id: 'basic',
  settings: z
    .strictObject({
      enabled: z.boolean().default(true).meta({ help: 'Offer sign-in by username and password.', reload: 'live' }),
    })
    .prefault({}),
} satisfies MethodType

/** Seconds to wait when too many passwords are being checked. */
const BUSY = 3

interface World {
  readonly accounts: Accounts
  /** Counts wrong attempts. */
  readonly store: ArtifactStore
  readonly clock: Clock
  readonly passwords: Passwords
  /** Replaces the standard limits of attempts.ts. */
  readonly limits?: { readonly perPair?: number; readonly perAccount?: number; readonly perNetwork?: number }
}

/** Who is being asked, and from where. */
type Given = Parameters<Method['attempt']>[1]

/** Who the form names; in a later step only the person who is being asked. */
const find = async ({ accounts }: World, login: string, { accountId }: Given): Promise<Account | undefined> => {
  if (login === '') return undefined
  const account = await accounts.byLogin(login)
  return accountId === undefined || account?.id === accountId ? account : undefined
}

const strengthen = async ({ accounts, passwords }: World, { id, passwordHash }: Account, password: string) => {
  try {
    const better = await passwords.hashPassword(password)
    await accounts.update(id, (now) => (now.passwordHash === passwordHash ? { ...now, passwordHash: better } : now))
  } catch (error) {
    // The person is who they say; the next login tries again.
    if (!isFault(error)) throw error
  }
}

const check = async (
  world: World,
  attempts: Attempts,
  { login, password }: { login: string; password: string },
  given: Given,
): Promise<Attempt> => {
  const account = await find(world, login, given)
  const who = { account: account ? `account ${account.id}` : unknownName(login), address: given.address }
  let standing: Standing = { wait: undefined, wrong: 0 }
  const verdict = await world.passwords.verifyPassword(password, account?.passwordHash, {
    // Whether there is such an account must not show in who waits for whom.
    of: unknownName(login),
    skip: async () => {
      standing = await attempts.standing(who)
      return standing.wait !== undefined
    },
    failed: () => attempts.wrong(who),
  })
  const { wait, wrong } = standing
  if (wait !== undefined) return { ok: false, code: 'login.limited', retryAfter: wait }
  if (!account || !verdict.matches) return { ok: false, code: 'login.wrong' }
  if (wrong > 0) await attempts.right(who)
  if (account.disabled) return { ok: false, code: 'login.disabled' }
  if (verdict.needsRehash) await strengthen(world, account, password)
  // RFC 8176: pwd.
  return { ok: true, accountId: account.id, amr: ['pwd'] }
}

export const openBasic = (world: World): Method => {
  const attempts = createAttempts(world.store, world.clock, basic.id, world.limits)
  return {
    id: basic.id,
    page: 'login',
    async attempt({ username = '', password = '' }, given) {
      try {
        return await check(world, attempts, { login: username.slice(0, 1024), password }, given)
      } catch (error) {
        if (isFault(error, 'login.limited')) return { ok: false, code: 'login.limited', retryAfter: BUSY }
        throw error
      }
    },
  }
}
