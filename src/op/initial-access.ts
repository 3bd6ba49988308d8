/**
 * Initial access tokens (RFC 7591 1.2): who holds one may register so many clients until so long. Issued by a command;
 * the store has its hash and a counter, which decides between registrations at the same moment.
 */
import type { Box } from '#artifacts/box.ts'
import type { Clock } from '#kernel/clock.ts'
import type { ArtifactStore } from '#kernel/ports.ts'
import { randomId, randomToken, sha256 } from '#kernel/random.ts'

export interface InitialAccessToken {
  /** Names the token in lists and in the audit trail; opens nothing. */
  readonly id: string
  readonly note?: string | undefined
  /** Clients that it may register. */
  readonly uses: number
  readonly used: number
  /** Epoch ms. */
  readonly issuedAt: number
  readonly expiresAt: number
}

export interface InitialAccess {
  /** @param given.lifetime seconds @returns the token itself, this once */
  issue(given: { uses: number; lifetime: number; note?: string }): Promise<InitialAccessToken & { token: string }>
  /** Live ones, the oldest first. */
  list(): Promise<InitialAccessToken[]>
  revoke(id: string): Promise<boolean>
  /** Whether the token is alive and has a use left. */
  isOpen(token: string): Promise<boolean>
  /** Takes one use; undefined when another registration was faster. @returns the token's id */
  use(token: string): Promise<string | undefined>
  /** Gives one use back: the registration came to nothing. */
  giveBack(token: string): Promise<void>
}

interface Stored {
  readonly id: string
  readonly note?: string | undefined
  readonly uses: number
  readonly issuedAt: number
  /** Key of the row and of the counter; base64url. */
  readonly key: string
  readonly expiresAt: number
}

const MODEL = 'InitialAccess'
const ALL = 'all'

const counterOf = (key: string): Buffer => sha256(`initial access ${key}`)
const keyOf = (token: string): string => sha256(token).toString('base64url')

export const createInitialAccess = (given: { store: ArtifactStore; box: Box; clock: Clock }): InitialAccess => {
  const { store, box, clock } = given
  const used = ({ key, expiresAt }: Stored, by = 0) => store.increment(counterOf(key), by, expiresAt)
  // The row's own id is the hash of the token, so that a list can drop it.
  const read = async (token: string) => {
    const stored = await box.get<Stored>(MODEL, keyOf(token))
    return stored && stored.expiresAt > clock.now() ? stored : undefined
  }
  const all = () => box.findTagged<Stored>(MODEL, ALL)

  return {
    async issue({ uses, lifetime, note }) {
      const token = randomToken()
      const stored: Stored = {
        id: randomId(),
        uses,
        issuedAt: clock.now(),
        expiresAt: clock.now() + lifetime * 1000,
        key: keyOf(token),
        ...(note !== undefined && { note }),
      }
      await box.put(MODEL, stored.key, stored, { ttl: lifetime, tags: [ALL] })
      const { key: _, ...shown } = stored
      return { ...shown, used: 0, token }
    },
    async list() {
      const found = await all()
      return Promise.all(found.map(async ({ key, ...shown }) => ({ ...shown, used: await used({ ...shown, key }) })))
    },
    async revoke(id) {
      const stored = (await all()).find((each) => each.id === id)
      if (stored) await box.drop(MODEL, stored.key)
      return stored !== undefined
    },
    async isOpen(token) {
      const stored = await read(token)
      return stored !== undefined && (await used(stored)) < stored.uses
    },
    async use(token) {
      const stored = await read(token)
      if (!stored) return undefined
      if ((await used(stored, 1)) <= stored.uses) return stored.id
      await used(stored, -1)
      return undefined
    },
    async giveBack(token) {
      const stored = await read(token)
      if (stored) await used(stored, -1)
    },
  }
}
