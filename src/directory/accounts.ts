/** People: unique usernames, e-mail that several may share, passwords only as hashes (CONTRACT 3 and 7). */

import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import { randomId } from '#kernel/random.ts'
import type { Account, AccountInput } from '#kernel/records/account.ts'
import { type Collection, everyPage } from './collection.ts'
import { accountKind } from './kinds.ts'
import { normaliseEmail, normaliseUsername } from './normalise.ts'
import type { Accounts } from './records.ts'

const MOST_SHARING = 1000

/** Makes a record of what a file or a request wrote: id chosen, password hashed. */
export type Draw = (input: AccountInput) => Promise<Account>

/** @param hashPassword answers a PHC string */
export const drawAccount =
  (clock: Clock, hashPassword: (password: string) => Promise<string>): Draw =>
  async ({ id, password, ...rest }) => {
    const hash = password === undefined ? rest.passwordHash : await hashPassword(password)
    const now = clock.now()
    return accountKind.read({
      ...rest,
      id: id ?? randomId(),
      createdAt: now,
      updatedAt: now,
      ...(hash !== undefined && { passwordHash: hash }),
    })
  }

/**
 * @param removeTraces takes away what hangs on an account (links, consents) before the account goes
 */
export const createAccounts = (
  collection: Collection<Account>,
  draw: Draw,
  clock: Clock,
  removeTraces: (accountId: string) => Promise<void>,
): Accounts => {
  const byUsername = async (username: string) =>
    (await collection.find('username', normaliseUsername(username), 1))[0]?.value
  const byEmail = async (email: string) =>
    (await collection.find('email', normaliseEmail(email), MOST_SHARING)).map(({ value }) => value)

  return {
    get: async (id) => (await collection.get(id))?.value,
    versioned: (id) => collection.fresh(id),
    page: (query) => collection.page(query),
    // People are many: not kept in memory as a whole.
    all: async () => (await everyPage(collection.page, ({ value }) => value.id)).map(({ value }) => value),
    put: (value, ifRevision) => collection.put(accountKind.read({ ...value, updatedAt: clock.now() }), ifRevision),
    async remove(id) {
      // Disabled first: a crash half-way leaves an account that nobody can use, not one without its links.
      const found = await collection.update(id, (now) => ({ ...now, disabled: true, updatedAt: clock.now() }))
      if (!found) return false
      await removeTraces(id)
      return collection.remove(id)
    },
    byUsername,
    byEmail,
    async byLogin(login) {
      const named = await byUsername(login)
      // A provider's user may be called like somebody's address; without a password that name shadows nobody.
      if (!login.includes('@') || named?.passwordHash !== undefined) return named
      const [only, another] = await byEmail(login)
      return another ? named : (only ?? named)
    },
    async create(input) {
      const account = await draw(input)
      await collection.create(account)
      return account
    },
    async update(id, change) {
      const next = await collection.update(id, (now) =>
        accountKind.read({ ...change(now), id: now.id, updatedAt: clock.now() }),
      )
      if (!next) throw new Fault('directory.absent', { kind: 'account', id })
      return next
    },
  }
}

/** Creates what the served file declares where the username is new; never overwrites (CONTRACT 3). */
export const seedAccounts = async (accounts: Accounts, declared: readonly AccountInput[]): Promise<void> => {
  for (const input of declared) {
    if (await accounts.byUsername(input.username)) continue
    try {
      await accounts.create(input)
    } catch (error) {
      // Another node was faster, or the person was renamed meanwhile and still holds the id.
      if (!isFault(error, 'directory.conflict')) throw error
    }
  }
}
