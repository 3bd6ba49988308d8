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
import { createAttempts } from './attempts.ts'
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

/** Counters of names that nobody has must not differ by spelling either. */
const unknownName = (login: string) => `name ${login.normalize('NFKC').trim().toLowerCase().slice(0, 255)}`

/** Seconds to wait when too many passwords are being checked. */
const BUSY = 3

/**
 * @param world.accounts the directory's; @param world.store counts wrong attempts
 * @param world.limits replaces the standard limits (10 an account, 100 a network, in 15 minutes)
 */
export const openBasic = (world: {
  accounts: Accounts
  store: ArtifactStore
  clock: Clock
  passwords: Passwords
  limits?: { perAccount?: number; perNetwork?: number }
}): Method => {
  const { accounts, passwords } = world
  const attempts = createAttempts(world.store, world.clock, 'basic', world.limits)

  /** Who the form names; in a later step only the person who is being asked. */
  const find = async (login: string, accountId: string | undefined): Promise<Account | undefined> => {
    if (login === '') return undefined
    const account = await accounts.byLogin(login)
    return accountId === undefined || account?.id === accountId ? account : undefined
  }

  const strengthen = async ({ id, passwordHash }: Account, password: string): Promise<void> => {
    try {
      const better = await passwords.hashPassword(password)
      await accounts.update(id, (now) => (now.passwordHash === passwordHash ? { ...now, passwordHash: better } : now))
    } catch (error) {
      // The person is who they say; the next login tries again.
      if (!isFault(error)) throw error
    }
  }

  const check = async (
    login: string,
    password: string,
    given: { accountId?: string; address: string },
  ): Promise<Attempt> => {
    const account = await find(login, given.accountId)
    const who = { account: account ? `account ${account.id}` : unknownName(login), address: given.address }
    let wait: number | undefined
    const verdict = await passwords.verifyPassword(password, account?.passwordHash, {
      skip: async () => {
        wait = await attempts.limited(who)
        return wait !== undefined
      },
      failed: () => attempts.wrong(who),
    })
    if (wait !== undefined) return { ok: false, code: 'login.limited', retryAfter: wait }
    if (!account || !verdict.matches) return { ok: false, code: 'login.wrong' }
    if (account.disabled) return { ok: false, code: 'login.disabled' }
    if (verdict.needsRehash) await strengthen(account, password)
    // RFC 8176: pwd.
    return { ok: true, accountId: account.id, amr: ['pwd'] }
  }

  return {
    id: basic.id,
    page: 'login',
    async attempt({ username = '', password = '' }, given) {
      try {
        return await check(username.slice(0, 1024), password, given)
      } catch (error) {
        if (isFault(error, 'login.limited')) return { ok: false, code: 'login.limited', retryAfter: BUSY }
        throw error
      }
    },
  }
}
