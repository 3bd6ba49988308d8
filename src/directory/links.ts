/** External identities and whose they are. The key is provider and uid, never an e-mail (CONTRACT 7). */
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import type { Directory } from '#kernel/ports.ts'
import { randomToken } from '#kernel/random.ts'
import type { Account, Link } from '#kernel/records/account.ts'
import type { Draw } from './accounts.ts'
import type { Collection } from './collection.ts'
import { linkId } from './kinds.ts'
import type { Links } from './records.ts'

const MOST_PER_ACCOUNT = 1000
const COUNTED_SUFFIXES = 9
const MOST_SUFFIXES = 20

/** alice, alice-2 … alice-9, then random ends, so that a popular name does not cost a walk through all its bearers. */
export const usernameCandidate = (username: string, attempt: number): string => {
  if (attempt === 1) return username
  return `${username.slice(0, 240)}-${attempt <= COUNTED_SUFFIXES ? attempt : randomToken(4).toLowerCase()}`
}

export const createLinks = (
  port: Directory,
  links: Collection<Link>,
  accounts: Collection<Account>,
  draw: Draw,
  clock: Clock,
): Links => {
  const get = async (provider: string, uid: string) => {
    const link = (await links.fresh(linkId(provider, uid)))?.value
    // A hashed id stands for one uid only.
    return link?.provider === provider && link.uid === uid ? link : undefined
  }
  const make = (provider: string, uid: string, accountId: string): Link => ({
    id: linkId(provider, uid),
    provider,
    uid,
    accountId,
    createdAt: clock.now(),
  })

  /** One try under one username. */
  const attempt = async (provider: string, uid: string, account: Account) => {
    const answer = await port.claim(links.kind, linkId(provider, uid), () => ({
      owner: account.id,
      link: links.stored(make(provider, uid, account.id)),
      accountKind: accounts.kind,
      account: accounts.stored(account),
    }))
    if (answer.created) {
      await accounts.changed(account.id)
      await links.changed(linkId(provider, uid))
    }
    return { accountId: answer.owner, created: answer.created }
  }

  return {
    get,
    ofAccount: async (accountId) =>
      (await links.find('account', accountId, MOST_PER_ACCOUNT)).map(({ value }) => value),
    async claim(provider, uid, draft) {
      const known = await get(provider, uid)
      if (known && (await accounts.get(known.accountId))) return { accountId: known.accountId, created: false }
      const account = await draw(draft())
      for (let count = 1; ; count += 1) {
        const username = usernameCandidate(account.username, count)
        try {
          return await attempt(provider, uid, { ...account, username })
        } catch (error) {
          const taken = isFault(error, 'directory.conflict') && error.detail.index === 'username'
          if (!taken || count >= MOST_SUFFIXES) throw error
        }
      }
    },
    async link(provider, uid, accountId) {
      if (!(await accounts.fresh(accountId)))
        throw new Fault('directory.absent', { kind: accounts.kind, id: accountId })
      try {
        await links.create(make(provider, uid, accountId))
      } catch (error) {
        if (!isFault(error, 'directory.conflict')) throw error
        const now = await get(provider, uid)
        if (now?.accountId !== accountId) throw error
      }
    },
    unlink: (provider, uid) => links.remove(linkId(provider, uid)),
  }
}
