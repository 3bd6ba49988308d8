/** Stored pairwise subjects: made once for an account and a sector, however many ask at the same moment. */
import type { Clock } from '#kernel/clock.ts'
import { Fault, isFault } from '#kernel/faults.ts'
import { randomToken } from '#kernel/random.ts'
import type { PairwiseSubject } from '#kernel/records/subject.ts'
import type { Collection } from './collection.ts'
import { subjectId } from './kinds.ts'
import type { PairwiseSubjects } from './records.ts'

const MOST_PER_ACCOUNT = 10_000

export const createSubjects = (collection: Collection<PairwiseSubject>, clock: Clock): PairwiseSubjects => ({
  async of(accountId, sector) {
    const id = subjectId(accountId, sector)
    const known = await collection.get(id)
    if (known) return known.value.subject
    const made = { id, accountId, sector, subject: randomToken(), createdAt: clock.now() }
    try {
      await collection.create(made)
      return made.subject
    } catch (error) {
      if (!isFault(error, 'directory.conflict')) throw error
      // Somebody was faster.
      const there = await collection.fresh(id)
      if (!there) throw new Fault('directory.stale', { kind: collection.kind })
      return there.value.subject
    }
  },
  async ofAccount(accountId) {
    return (await collection.find('account', accountId, MOST_PER_ACCOUNT)).map(({ value }) => value)
  },
  forget: (accountId, sector) => collection.remove(subjectId(accountId, sector)),
})
